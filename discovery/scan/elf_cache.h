/* ELF files already looked into, by device, inode and times: a library that thousands of processes
 * map is read once. */
#ifndef PST_SCAN_ELF_CACHE_H
#define PST_SCAN_ELF_CACHE_H

#include <sys/types.h>

#include "target/elf.h"
#include "target/maps.h"
#include "target/memory.h"

struct pst_elf_cache;

/* An image that carries a runtime, and what was learnt of it since. */
struct pst_elf_python {
    struct pst_elf elf;
    uint32_t hexversion; /* 0 until known; a property of the file */
};

struct pst_elf_cache *pst_elf_cache_new(void);
struct pst_elf_cache *pst_elf_cache_free(struct pst_elf_cache *cache);

/* 0 and the image's entry, owned by the cache and valid until the next call; -ENOENT when it
 * carries no runtime; -errno when it could be read neither as a file nor in memory. */
int pst_elf_cache_get(struct pst_elf_cache *cache, pid_t pid, struct pst_memory *memory,
                      const struct pst_image *image, struct pst_elf_python **ret);
/* Whether the program of this process is already known to carry a runtime. */
bool pst_elf_cache_knows_exe(struct pst_elf_cache *cache, pid_t pid);

void pst_elf_cache_stats(const struct pst_elf_cache *cache, uint64_t *ret_read,
                         uint64_t *ret_cached);

#endif
