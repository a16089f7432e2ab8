#include "upstream/scram.h"

#include "catch.h"

namespace sallyport {

TEST_CASE("scram: the exchange of RFC 7677 section 3") {
  ScramClient client("user", "pencil", "rOprNGfwEbeRWgbNEkqO");
  CHECK(client.first() == "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  CHECK(client.final("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096") ==
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  CHECK_FALSE(client.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="));
  CHECK_FALSE(client.verify("e=other-error"));
  CHECK(client.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
}

TEST_CASE("scram: what a server may not send") {
  for (const char* challenge : {
           "",
           "r=",
           "r=nonce",
           "r=nonceX,s=AAAA",
           "r=nonceX,s=AAAA,i=",
           "r=nonceX,s=AAAA,i=0",
           "r=nonceX,s=AAAA,i=-1",
           "r=nonceX,s=A,i=4096",
           "s=AAAA,r=nonceX,i=4096",
           "r=other,s=AAAA,i=4096",
           "r=nonce,s=AAAA,i=4096",  // nothing of its own
           "m=x,r=nonceX,s=AAAA,i=4096",
           "r=nonceX,s=AAAA,i=200001",
           "r=nonceX,s=AAAA,i=99999999999999999999",
       }) {
    CAPTURE(challenge);
    ScramClient client("", "pencil", "nonce");
    CHECK(client.final(challenge).empty());
    CHECK(std::string(client.why()) != "");
    CHECK_FALSE(client.verify("v="));
  }
}

TEST_CASE("scram: a name is quoted") { CHECK(ScramClient("a,b=c", "", "n").first() == "n,,n=a=2Cb=3Dc,r=n"); }

}  // namespace sallyport
