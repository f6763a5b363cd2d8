/* A program that names nothing: no symbol, no section, no cookie. That it holds a CPython before
 * 3.13 shows in its texts; where the runtime lies, only its memory can tell. Only programs are
 * looked through, not libraries: those export what they are for. */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "elf_internal.h"

enum { BLOCK = 65536 };

/* Every CPython asks for this variable when it starts. Backwards, or this program would have it
 * too. */
static const char backwards[] = "EMOHNOHTYP";
enum { TEXT_BYTES = sizeof(backwards) }; /* with the NUL behind it */

static int search_segment(struct pst_elf_source *source, const struct pst_elf_segment *segment,
                          const char *text, struct pst_elf *elf)
{
    enum { KEEP = TEXT_BYTES };
    char buffer[KEEP + BLOCK];
    size_t kept = 0;

    for (uint64_t at = 0; at < segment->file_bytes && !elf->hinted;) {
        uint64_t left = segment->file_bytes - at;
        size_t len = left < BLOCK ? (size_t)left : BLOCK;
        int status = pst_elf_read(source, segment->offset + at, buffer + kept, len);
        if (status < 0)
            return status;
        elf->hinted = memmem(buffer, kept + len, text, TEXT_BYTES) != NULL;
        size_t total = kept + len;
        kept = total < KEEP ? total : KEEP;
        memmove(buffer, buffer + total - kept, kept);
        at += len;
    }
    return 0;
}

int pst_elf_hint(struct pst_elf_source *source, struct pst_elf *elf)
{
    char text[TEXT_BYTES] = "";
    int status = 0;

    for (size_t i = 0; i + 1 < TEXT_BYTES; i++)
        text[i] = backwards[TEXT_BYTES - 2 - i];
    source->budget = PST_MAX_ELF_TEXT_BYTES;
    /* Texts mostly have a segment without code. */
    for (int with_code = 0; with_code <= 1; with_code++) {
        for (size_t i = 0; i < elf->segment_count && status == 0 && !elf->hinted; i++) {
            const struct pst_elf_segment *segment = &elf->segment[i];
            if (!segment->writable && segment->executable == (with_code == 1))
                status = search_segment(source, segment, text, elf);
        }
    }
    return status;
}
