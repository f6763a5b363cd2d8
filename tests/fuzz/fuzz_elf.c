/* fuzz: target base */
/* Any bytes as an ELF image, as a file and as loaded: the budget holds, and nothing is read outside
 * what the source has. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "target/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BUDGET = 262144 };

struct counted {
    const uint8_t *data;
    size_t size, read;
};

static int read_counted(void *context, uint64_t offset, void *dst, size_t len)
{
    struct counted *counted = context;

    if (offset > counted->size || len > counted->size - offset)
        abort();
    counted->read += len;
    if (counted->read > BUDGET)
        abort();
    if (len > 0)
        memcpy(dst, counted->data + offset, len);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct counted counted = {data, size, 0};
    struct pst_elf_source source = {read_counted, &counted, size, BUDGET};
    struct pst_elf elf;

    if (pst_elf_parse(&source, &elf) == 0) {
        (void)pst_elf_in_data(&elf, elf.section, elf.section_bytes);
        if (elf.segment_count == 0 || elf.segment_count > PST_ELF_SEGMENTS)
            abort();
    }
    counted.read = 0;
    source = (struct pst_elf_source){read_counted, &counted, size, BUDGET};
    (void)pst_elf_parse_loaded(&source, 0x7f0000000000, &elf);
    return 0;
}
