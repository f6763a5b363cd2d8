/* What a person reads when something fails at an edge: start-up, configuration, a command.
 * Inside the program functions return 0 or a negative errno; only edges fill this. */
#ifndef PST_BASE_ERROR_H
#define PST_BASE_ERROR_H

#include <stdio.h>

/* Exit codes of every command; part of the contract. */
enum pst_exit {
    PST_EXIT_OK = 0,
    PST_EXIT_FAILED = 1,
    PST_EXIT_USAGE = 2,
    PST_EXIT_DENIED = 3,
};

struct pst_error {
    int code;         /* enum pst_exit */
    char where[320];  /* file:line:column or flag; may be empty */
    char text[512];   /* what is wrong */
    char remedy[320]; /* what to do; may be empty */
};

/* Fills the error (which may be NULL) and returns -EINVAL for PST_EXIT_USAGE, -EPERM for
 * PST_EXIT_DENIED, -EIO otherwise, so that a caller can write `return pst_error_set(...)`.
 * where and remedy may be NULL. */
int pst_error_set(struct pst_error *error, enum pst_exit code, const char *where,
                  const char *remedy, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* One line: `pystrobe: WHERE: TEXT; REMEDY`. Control characters are escaped. */
void pst_error_print(FILE *out, const struct pst_error *error);

#endif
