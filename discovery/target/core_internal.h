/* A core file's parts, shared by core*.c. */
#ifndef PST_TARGET_CORE_INTERNAL_H
#define PST_TARGET_CORE_INTERNAL_H

#include <stdbool.h>

#include "target/core.h"

struct pst_core_segment {
    uint64_t start, end; /* addresses */
    uint64_t offset;     /* of its bytes in the core */
    uint64_t in_core;    /* that many of them are there */
    bool readable, writable, executable;
};

enum pst_core_file_state { PST_CORE_FILE_UNTRIED, PST_CORE_FILE_OPEN, PST_CORE_FILE_REFUSED };

/* A part of a file that was mapped. */
struct pst_core_mapping {
    uint64_t start, end, offset;
    uint32_t file; /* index of its path */
};

struct pst_core_file {
    struct pst_str path; /* view of the note */
    int fd;
    enum pst_core_file_state state;
};

struct pst_core_thread {
    pid_t tid;
    uint64_t registers; /* their offset in the core */
};

struct pst_core {
    int fd;
    uint64_t size;
    struct pst_core_segment *segments; /* by rising address */
    size_t segment_count;
    char *files_note;                  /* NT_FILE, which holds the paths */
    struct pst_core_mapping *mappings; /* by rising address */
    size_t mapping_count;
    struct pst_core_file *files;
    size_t file_count;
    uint64_t program_headers; /* their address in memory, of AT_PHDR; 0: not told */
    uint64_t vdso;            /* of AT_SYSINFO_EHDR; 0: not told */
    char args[80];
    size_t args_len;
    pid_t pid, ppid;
    int signal;
    struct pst_core_thread *threads;
    size_t thread_count, thread_cap;
    size_t note_count;
    uint32_t files_other, files_gone;
};

/* core.c: all bytes at an offset of the core. */
int pst_core_bytes(const struct pst_core *core, uint64_t offset, void *dst, size_t len);
/* Segment or mapping that holds the address, or NULL. */
const struct pst_core_segment *pst_core_segment(const struct pst_core *core, uint64_t address);
const struct pst_core_mapping *pst_core_mapping(const struct pst_core *core, uint64_t address);

/* core_notes.c: reads one PT_NOTE segment. 0 or -errno. */
int pst_core_notes(struct pst_core *core, uint64_t offset, uint64_t len);
void pst_core_notes_done(struct pst_core *core);

/* core_files.c: bytes of a mapped file. 0 or -EFAULT. */
int pst_core_file_bytes(struct pst_core *core, const struct pst_core_mapping *mapping,
                        uint64_t address, void *dst, size_t len);

#endif
