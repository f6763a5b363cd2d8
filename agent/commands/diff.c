/* `pystrobe diff OLD NEW -o OUT`: a differential flame graph and the largest changes as text. */
#include <errno.h>
#include <string.h>

#include "commands_internal.h"
#include "profile_files.h"

struct diff_args {
    struct pst_file_args files;
};

const struct pst_option pst_options_diff[] = {
    PST_OPTS_FILES(struct diff_args, files),
    PST_OPT_END,
};

static int fail(const struct pst_error *error)
{
    pst_error_print(stderr, error);
    return error->code;
}

static int check(const struct diff_args *args, int files, enum pst_format *ret,
                 struct pst_error *error)
{
    if (files != 2)
        return pst_error_set(error, PST_EXIT_USAGE, "diff", "name the OLD and the NEW file",
                             "%d files given", files);
    if (pst_files_format(&args->files, ret, error) < 0)
        return -EINVAL;
    return pst_files_check_difference(*ret, error);
}

static int run(const struct diff_args *args, char *const *paths, enum pst_format format,
               struct pst_error *error)
{
    struct pst_profile *old = NULL, *new_profile = NULL;
    struct pst_output output;
    int rc = pst_output_open(strdup(args->files.output), &output, error);

    if (rc == 0)
        rc = pst_files_read(&args->files, paths, 1, &old, error);
    if (rc == 0)
        rc = pst_files_read(&args->files, paths + 1, 1, &new_profile, error);
    if (rc == 0 && pst_profile_meta(old).mode != pst_profile_meta(new_profile).mode)
        rc = pst_error_set(error, PST_EXIT_FAILED, paths[1], "compare files of one mode",
                           "holds %s time, %s %s time",
                           pst_mode_word(pst_profile_meta(new_profile).mode), paths[0],
                           pst_mode_word(pst_profile_meta(old).mode));
    if (rc == 0)
        rc = pst_files_write(&args->files, format, new_profile, old, &output, error);
    pst_output_done(&output);
    if (rc == 0) {
        /* To stdout, unless the drawing goes there. */
        rc = pst_files_print_changes(old, new_profile,
                                     strcmp(args->files.output, "-") == 0 ? stderr : stdout);
        if (rc < 0)
            (void)pst_error_set(error, PST_EXIT_FAILED, NULL, NULL, "%s", strerror(-rc));
    }
    pst_profile_free(old);
    pst_profile_free(new_profile);
    return rc;
}

int pst_cmd_diff(int argc, char **argv)
{
    struct diff_args args = {0};
    struct pst_error error;
    enum pst_format format;
    int rest, code = pst_command_options("diff", 0, argc, argv, &args, &rest);

    if (code >= 0)
        return code;
    if (check(&args, argc - rest, &format, &error) < 0 ||
        run(&args, argv + rest, format, &error) < 0)
        return fail(&error);
    return PST_EXIT_OK;
}
