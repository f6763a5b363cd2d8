/* One run of `pystrobe record`. */
#ifndef PST_COMMANDS_RECORD_H
#define PST_COMMANDS_RECORD_H

#include "output.h"
#include "profile_files.h"
#include "record_program.h"
#include "session/session.h"

struct pst_record_args {
    struct pst_option_pids pids;
    struct pst_file_args files;
    const char *diff;
    uint64_t duration_ns;
    bool has_duration, subprocesses, idle, gil, quiet;
    bool nonblocking, native, class_names, capture, hide_progress;
};

struct pst_record {
    struct pst_record_args args;
    enum pst_mode mode;
    enum pst_format format;
    struct pst_buf sudo_line;
    char *const *program_argv; /* NULL: processes that run already */
    struct pst_record_program program;
    struct pst_output output;
    struct pst_session *session;
    struct pst_session_result result;
    struct pst_profile *old;    /* of --diff */
    struct pst_profile *wanted; /* what of the result is written; NULL: everything */
    uint64_t elapsed_ns, shown_ns;
    bool ended; /* the targets, before anybody asked for an end */
};

/* record_report.c: what people read, and the file. */
void pst_record_say_start(const struct pst_record *record);
void pst_record_say_progress(struct pst_record *record, uint64_t elapsed_ns);
/* Writes the file, says so; the exit code. */
int pst_record_finish(struct pst_record *record);

#endif
