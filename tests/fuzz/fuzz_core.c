/* fuzz: scan target base */
/* Any bytes as a core file: what opens must answer every question about it and end; bytes that it
 * gives are bytes of the file, and its maps are lines. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "scan/core.h"
#include "target/maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(struct pst_core *core, struct pst_str maps)
{
    struct pst_mapping mapping;
    unsigned char bytes[64];
    int lines = 0;

    while (lines++ < 64 && pst_maps_next(&maps, &mapping)) {
        (void)pst_core_read(core, mapping.start, bytes, sizeof(bytes));
        (void)pst_core_read(core, mapping.end - 8, bytes, sizeof(bytes));
        (void)pst_core_read(core, mapping.start - 1, bytes, sizeof(bytes));
    }
    (void)pst_core_read(core, UINT64_MAX - 8, bytes, sizeof(bytes));
}

static void ask(struct pst_core *core)
{
    struct pst_core_info info;
    struct pst_facts *facts = NULL;
    struct pst_buf maps;
    struct pst_memory *memory = pst_memory_new_core(core);

    pst_buf_init(&maps, PST_MAX_MAPS_BYTES);
    if (pst_core_maps(core, &maps) == 0)
        read_all(core, pst_buf_view(&maps));
    pst_core_info(core, &info);
    if (info.args.len > 80)
        abort();
    if (memory && pst_scan_core(core, memory, &facts) == 0)
        pst_facts_free(facts);
    pst_memory_free(memory);
    pst_buf_done(&maps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pst_core *core;
    int fd = memfd_create("core", MFD_CLOEXEC);

    if (fd < 0)
        return 0;
    if (write(fd, data, size) != (ssize_t)size) {
        (void)close(fd);
        return 0;
    }
    if (pst_core_open(fd, &core) == 0) {
        ask(core);
        pst_core_free(core);
    }
    return 0;
}
