module pystrobe.test/pprofcheck

go 1.25

require github.com/google/pprof v0.0.0-20260507013755-92041b743c96
