/* `pystrobe agent`: hands its options to the daemon as plain words and becomes the supervisor. */
#include <inttypes.h>

#include "base/cleanup.h"
#include "commands_internal.h"
#include "roles/roles.h"

struct agent_args {
    struct pst_config_args config;
    bool summary;
    uint64_t for_ns;
    const char *file_directory;
};

const struct pst_option pst_options_agent[] = {
    PST_OPTS_CONFIG(struct agent_args, config),
    PST_OPT_FLAG(struct agent_args, summary, 0, "summary",
                 "show in the terminal what was found and where the time goes"),
    PST_OPT(DURATION, struct agent_args, for_ns, 0, "for", "DURATION",
            "end after this long: 30s, 5m"),
    PST_OPT(PATH, struct agent_args, file_directory, 0, "exporter-file", "DIR",
            "also write each profile to DIR as .pb.gz"),
    PST_OPT_END,
};

int pst_cmd_agent(int argc, char **argv)
{
    struct agent_args args = {0};
    int rest;
    int code = pst_command_options("agent", PST_OPTIONS_STOP_AT_WORD, argc, argv, &args, &rest);
    if (code >= 0)
        return code;

    char for_text[32];
    const char *words[8 + 2 * PST_MAX_OPTION_VALUES + 2] = {0};
    size_t count = 0;
    if (args.config.file) {
        words[count++] = "--config";
        words[count++] = args.config.file;
    }
    for (size_t i = 0; i < args.config.set.count; i++) {
        words[count++] = "--set";
        words[count++] = args.config.set.items[i];
    }
    if (args.summary)
        words[count++] = "--summary";
    if (args.file_directory) {
        words[count++] = "--exporter-file";
        words[count++] = args.file_directory;
    }
    if (args.for_ns) {
        (void)snprintf(for_text, sizeof(for_text), "%" PRIu64, args.for_ns);
        words[count++] = "--for-ns";
        words[count++] = for_text;
    }
    return pst_roles_run_agent((char *const *)words, rest < argc ? argv + rest : NULL);
}
