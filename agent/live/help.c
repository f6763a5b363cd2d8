/* The page behind `?`: fits into 24 lines of 80 columns. */
#include "help.h"

#include <stddef.h>

const char *const pst_live_help[] = {
    "Columns",
    "  %Own       time in the function itself, in the last interval",
    "  %Total     time in the function and in what it called, in the last interval",
    "  OwnTime    the same as %Own, summed up since the start or since R",
    "  TotalTime  the same as %Total, summed up since the start or since R",
    "  Percent is of the time that passed: 100% is one thread the whole interval.",
    "",
    "Gauges",
    "  GIL        share of the time in which a thread held the GIL (an estimate)",
    "  Active     CPU time of all threads for the time that passed",
    "",
    "Keys",
    "  1 2 3 4    sort by %Own, %Total, OwnTime, TotalTime",
    "  L          lines of functions, or whole functions",
    "  t p        threads, processes, or functions again",
    "  /          show only rows that hold a text; Esc shows all",
    "  space      pause: nothing is counted until the next space",
    "  R          let the times begin anew",
    "  up, down   and page up, page down: scroll",
    "  q          leave",
    "",
    "Any key goes back.",
    NULL,
};
