/* `pystrobe convert FILE... -o OUT`: profiles of one format into another, several merged. */
#include <string.h>

#include "commands_internal.h"
#include "profile_files.h"

struct convert_args {
    struct pst_file_args files;
};

const struct pst_option pst_options_convert[] = {
    PST_OPTS_FILES(struct convert_args, files),
    PST_OPT_END,
};

static int fail(const struct pst_error *error)
{
    pst_error_print(stderr, error);
    return error->code;
}

int pst_cmd_convert(int argc, char **argv)
{
    struct convert_args args = {0};
    struct pst_profile *profile = NULL;
    struct pst_output output;
    struct pst_error error;
    enum pst_format format;
    int rest, code = pst_command_options("convert", 0, argc, argv, &args, &rest), rc;

    if (code >= 0)
        return code;
    if (pst_files_format(&args.files, &format, &error) < 0)
        return fail(&error);
    if (rest == argc) {
        (void)pst_error_set(&error, PST_EXIT_USAGE, "convert", "name at least one FILE",
                            "nothing to convert");
        return fail(&error);
    }
    rc = pst_output_open(strdup(args.files.output), &output, &error);
    if (rc == 0)
        rc = pst_files_read(&args.files, argv + rest, (size_t)(argc - rest), &profile, &error);
    if (rc == 0)
        rc = pst_files_write(&args.files, format, profile, NULL, &output, &error);
    pst_output_done(&output);
    pst_profile_free(profile);
    return rc < 0 ? fail(&error) : PST_EXIT_OK;
}
