/* Which function stands at an address of an ELF file. libdwfl looks through a whole symbol table
 * for each address, and keeps that table in memory; here a table is read past once, in pieces, and
 * what is kept of a function is 16 bytes, sorted. Shared by all processes that have the file
 * mapped: the file itself decides, since anybody can write another file's build id into their own.
 * One thread.
 */
#ifndef PST_NATIVE_FUNCTIONS_H
#define PST_NATIVE_FUNCTIONS_H

#include <stdint.h>

#include "base/buf.h"

struct pst_functions;
/* NULL when out of memory. */
struct pst_functions *pst_functions_new(void);
struct pst_functions *pst_functions_free(struct pst_functions *functions);

enum pst_functions_table {
    PST_FUNCTIONS_ALL,     /* .symtab */
    PST_FUNCTIONS_DYNAMIC, /* .dynsym */
};

/* The name, as the table has it, of the function at the address (as linked) in the ELF file, into
 * out (which is reset). 1; 0 no function there; -ENOENT the file has no such table; -ENOTSUP it has
 * a better one, which is compressed; -EFBIG too many functions; -errno. */
int pst_functions_name(struct pst_functions *functions, int fd, enum pst_functions_table table,
                       uint64_t address, struct pst_buf *out);

/* Bytes held; for tests. */
size_t pst_functions_bytes(const struct pst_functions *functions);

#endif
