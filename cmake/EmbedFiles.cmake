# Run by sallyport_embed: cmake -DOUT=file.cc -DBASE=dir -DFILES=a;b -P EmbedFiles.cmake
set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_svg "image/svg+xml")

get_filename_component(folder ${BASE} NAME)
set(bytes "")
set(rows "")
set(number 0)
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  get_filename_component(extension ${file} LAST_EXT)
  string(SUBSTRING "${extension}" 1 -1 extension)
  if(NOT DEFINED type_${extension})
    message(FATAL_ERROR "${file}: no content type is known for .${extension}")
  endif()
  file(READ ${file} hex HEX)
  file(SHA256 ${file} digest)
  string(SUBSTRING ${digest} 0 20 etag)
  # Every byte is an escape, so that none runs into the next; lines of 32 bytes.
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" hex "${hex}")
  string(REPEAT "." 128 line)
  string(REGEX REPLACE "(${line})" "\\1\"\n    \"" hex "${hex}")
  string(APPEND bytes "constexpr char kBytes${number}[] =\n    \"${hex}\";\n")
  set(path "/${folder}/${name}")
  if(name STREQUAL "index.html")
    set(path "/")
  endif()
  string(APPEND rows
         "    {\"${path}\", \"${type_${extension}}\", {kBytes${number}, sizeof kBytes${number} - 1}, \"\\\"${etag}\\\"\"},\n")
  math(EXPR number "${number} + 1")
endforeach()

file(WRITE ${OUT} "// Made by cmake/EmbedFiles.cmake.
#include \"admin/resources.h\"

namespace sallyport {
namespace {

${bytes}
constexpr Resource kResources[] = {
${rows}};

}  // namespace

std::span<const Resource> resources() noexcept { return kResources; }

}  // namespace sallyport
")
