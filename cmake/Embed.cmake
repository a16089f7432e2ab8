# sallyport_embed(TARGET BASE dir FILES file...): the program carries these files. They become a table of
# {path, content type, bytes, etag} in a source of TARGET (gateway/admin/resources.h), made anew when one of them changes.
# `index.html` is found at "/", the others at "/FOLDER/NAME", FOLDER being the last part of BASE.
function(sallyport_embed target)
  cmake_parse_arguments(arg "" "BASE" "FILES" ${ARGN})
  set(out ${CMAKE_BINARY_DIR}/embedded_${target}.cc)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DBASE=${arg_BASE} "-DFILES=${arg_FILES}" -P ${CMAKE_SOURCE_DIR}/cmake/EmbedFiles.cmake
    DEPENDS ${arg_FILES} ${CMAKE_SOURCE_DIR}/cmake/EmbedFiles.cmake
    COMMENT "Embedding ${arg_BASE}"
    VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
