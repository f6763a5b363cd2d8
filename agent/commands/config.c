/* `pystrobe config check FILE | show [FILE] | schema`. */
#include <string.h>

#include "base/limits.h"
#include "commands_internal.h"
#include "config/config.h"
#include "exporters/runner.h"
#include "load.h"

struct args {
    struct pst_config_args config;
};

const struct pst_option pst_options_config[] = {
    PST_OPTS_CONFIG(struct args, config),
    PST_OPT_END,
};

static int usage(const char *text, const char *remedy)
{
    struct pst_error error;
    (void)pst_error_set(&error, PST_EXIT_USAGE, "config", remedy, "%s", text);
    pst_error_print(stderr, &error);
    return PST_EXIT_USAGE;
}

static int print(int rc, struct pst_buf *out)
{
    int code = PST_EXIT_FAILED;

    if (rc == 0 && fwrite(out->data, 1, out->len, stdout) == out->len)
        code = PST_EXIT_OK;
    pst_buf_done(out);
    return code;
}

static void print_warnings(const struct pst_config *config)
{
    for (size_t i = 0; i < config->warnings.count; i++)
        (void)fprintf(stderr, "pystrobe: warning: %s\n", config->warnings.items[i]);
}

static int check(const struct pst_config_args *args)
{
    struct pst_error error = {0};
    struct pst_config *config;
    int code;

    if (!args->file)
        return usage("check needs a FILE", "pystrobe config check FILE");
    code = pst_command_config(args, &config);
    if (code != PST_EXIT_OK)
        return code;
    print_warnings(config);
    if (pst_exporters_check(config, &error) < 0) {
        pst_error_print(stderr, &error);
        code = PST_EXIT_USAGE;
    } else {
        (void)printf("%s: valid\n", args->file);
    }
    (void)pst_config_unref(config);
    return code;
}

static int show(const struct pst_config_args *args)
{
    struct pst_config *config;
    struct pst_buf out;
    int code = pst_command_config(args, &config);

    if (code != PST_EXIT_OK)
        return code;
    print_warnings(config);
    pst_buf_init(&out, PST_MAX_CONFIG_MEMORY_BYTES);
    code = print(pst_config_show(config, &out), &out);
    (void)pst_config_unref(config);
    return code;
}

static int schema(void)
{
    struct pst_buf out;
    pst_buf_init(&out, PST_MAX_CONFIG_BYTES);
    return print(pst_config_schema(&out), &out);
}

int pst_cmd_config(int argc, char **argv)
{
    static const char remedy[] = "one of: config check FILE, config show [FILE], config schema";
    struct args args = {0};
    const char *verb;
    int rest, code = pst_command_options("config", 0, argc, argv, &args, &rest);

    if (code >= 0)
        return code;
    if (rest == argc)
        return usage("a verb is missing", remedy);
    verb = argv[rest++];
    if (rest + 1 < argc || (rest < argc && (args.config.file || strcmp(verb, "schema") == 0)))
        return usage("too many words", remedy);
    if (rest < argc)
        args.config.file = argv[rest];
    if (strcmp(verb, "check") == 0)
        return check(&args.config);
    if (strcmp(verb, "show") == 0)
        return show(&args.config);
    if (strcmp(verb, "schema") == 0)
        return schema();
    return usage("no such verb", remedy);
}
