/* Profiles from and to files, for the commands that turn one into the other. */
#ifndef PST_COMMANDS_PROFILE_FILES_H
#define PST_COMMANDS_PROFILE_FILES_H

#include "base/buf.h"
#include "base/error.h"
#include "options.h"
#include "output.h"
#include "profile/profile.h"
#include "render/format.h"

struct pst_file_args {
    const char *output, *format, *mode, *weights, *title, *subtitle;
    uint64_t rate;
    struct pst_frame_files files;
    bool (*command)(const void *context, int64_t pid, struct pst_str *ret);
    int64_t (*parent)(const void *context, int64_t pid);
    const void *command_context;
    struct pst_option_strings only_threads, include, exclude;
    bool threads, processes, apart, full_filenames, no_lines, functions, flame;
};

/* Rows of every command that writes a profile: which of its samples are wanted. */
#define PST_OPTS_FILTER(type, member)                                                              \
    PST_OPT(STRINGS, type, member.only_threads, 0, "thread", "NAME",                               \
            "only threads of this name; * and ? stand for anything"),                              \
        PST_OPT(STRINGS, type, member.include, 0, "include", "PATTERN",                            \
                "only stacks with a frame NAME (FILE) that matches this PCRE2 pattern"),           \
        PST_OPT(STRINGS, type, member.exclude, 0, "exclude", "PATTERN",                            \
                "no stacks with a frame that matches this pattern")

/* Rows that convert and diff share; `member` is a struct pst_file_args. */
#define PST_OPTS_FILES(type, member)                                                               \
    PST_OPT(PATH, type, member.output, 'o', "output", "FILE",                                      \
            "file to write; - is standard output"),                                                \
        PST_OPT(STRING, type, member.format, 'f', "format", "FORMAT",                              \
                "flamegraph, html, speedscope, chrometrace, raw, pprof or otlp; without it the "   \
                "file's ending decides"),                                                          \
        {.kind = PST_OPTION_STRING,                                                                \
         .name = "mode",                                                                           \
         .argument = "MODE",                                                                       \
         .choices = "cpu|wall|gil",                                                                \
         .offset = offsetof(type, member.mode),                                                    \
         .set_offset = SIZE_MAX,                                                                   \
         .help = "what raw and speedscope files measured; pprof files say it themselves"},         \
        {.kind = PST_OPTION_NUMBER,                                                                \
         .letter = 'r',                                                                            \
         .name = "rate",                                                                           \
         .argument = "HZ",                                                                         \
         .offset = offsetof(type, member.rate),                                                    \
         .set_offset = SIZE_MAX,                                                                   \
         .min = 1,                                                                                 \
         .max = 10000,                                                                             \
         .help = "samples per second of raw files, which carry no time (100)"},                    \
        {.kind = PST_OPTION_STRING,                                                                \
         .name = "weights",                                                                        \
         .argument = "WHAT",                                                                       \
         .choices = "samples|time",                                                                \
         .offset = offsetof(type, member.weights),                                                 \
         .set_offset = SIZE_MAX,                                                                   \
         .help =                                                                                   \
             "what widths and raw numbers are: raw counts samples unless told, drawings time"},    \
        PST_OPT_FLAG(type, member.threads, 't', "threads", "a root frame for each thread"),        \
        PST_OPT_FLAG(type, member.full_filenames, 0, "full-filenames",                             \
                     "do not shorten file names"),                                                 \
        PST_OPT_FLAG(type, member.no_lines, 0, "nolineno", "no line numbers in frames"),           \
        PST_OPT_FLAG(type, member.functions, 'F', "function",                                      \
                     "first line of the function instead of the current one"),                     \
        PST_OPT_FLAG(type, member.flame, 0, "flame", "root at the bottom instead of the top"),     \
        PST_OPT(STRING, type, member.title, 0, "title", "TEXT", "title of the drawing"),           \
        PST_OPTS_FILTER(type, member)

/* -o and -f into a format; -EINVAL with the error filled. */
int pst_files_format(const struct pst_file_args *args, enum pst_format *ret,
                     struct pst_error *error);
/* Tells whether -o and -f make a drawing that can show a difference; -EINVAL with the error filled.
 */
int pst_files_check_difference(enum pst_format format, struct pst_error *error);
/* Only the samples that are wanted, NULL when all are. Without a profile only the conditions are
 * checked. Negative errno with the error filled. */
int pst_files_filter(const struct pst_file_args *args, const struct pst_profile *profile,
                     struct pst_profile **ret, struct pst_error *error);
/* The largest changes as text. 0 or -errno. */
int pst_files_print_changes(const struct pst_profile *old, const struct pst_profile *new_profile,
                            FILE *out);
/* Reads all files, merges and filters them. Negative errno with the error filled. */
int pst_files_read(const struct pst_file_args *args, char *const *paths, size_t count,
                   struct pst_profile **ret, struct pst_error *error);
/* Appends the file; old is what a difference is against, NULL otherwise. 0 or -errno. */
int pst_files_render(const struct pst_file_args *args, enum pst_format format,
                     const struct pst_profile *profile, const struct pst_profile *old,
                     struct pst_buf *out);
/* Renders and writes; old is what a difference is against, NULL otherwise. 0, or -errno with the
 * error filled. */
int pst_files_write(const struct pst_file_args *args, enum pst_format format,
                    const struct pst_profile *profile, const struct pst_profile *old,
                    struct pst_output *output, struct pst_error *error);

#endif
