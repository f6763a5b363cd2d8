/* Words about a recording's file. */
#include "record_name.h"

#include <stdio.h>
#include <time.h>

char *pst_record_name(struct pst_str program, pid_t pid, int64_t now_s, enum pst_format format)
{
    struct pst_str base = pst_str_basename(program);
    char stamp[32] = "";
    char *name = NULL;
    time_t now = (time_t)now_s;
    struct tm local;

    /* A login shell's name starts with a dash, which every other tool takes for an option. */
    while (base.len > 0 && base.ptr[0] == '-')
        base = (struct pst_str){base.ptr + 1, base.len - 1};
    if (base.len == 0)
        base = PST_STR("python");
    if (localtime_r(&now, &local))
        (void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &local);
    if (asprintf(&name, "%.*s-%d-%s%s", (int)(base.len < 100 ? base.len : 100), base.ptr, (int)pid,
                 stamp, pst_format_ending(format)) < 0)
        return NULL;
    return name;
}

const char *pst_record_how_to_open(enum pst_format format)
{
    switch (format) {
    case PST_FORMAT_FLAMEGRAPH:
    case PST_FORMAT_HTML:
        return "open it in a browser";
    case PST_FORMAT_SPEEDSCOPE:
        return "open it at speedscope.app";
    case PST_FORMAT_CHROMETRACE:
        return "open it at ui.perfetto.dev";
    case PST_FORMAT_RAW:
        return "pystrobe convert draws it";
    case PST_FORMAT_PPROF:
        return "go tool pprof opens it";
    case PST_FORMAT_OTLP:
    case PST_FORMAT_COUNT:
        break;
    }
    return "OTLP receivers read it";
}
