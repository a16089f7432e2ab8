"""One module a program: how it is told to do a job. configure(job) writes its files and returns (argv, environment); LACKS says
which scenarios it has no words for, and why; NOTES, what its figure of a scenario is not to be read without; PEER, whether the
gateway is to be better."""
