/* fuzz: python target base */
/* Any bytes as objects of a CPython: the first byte chooses the version, the second how long a text
 * may be, the rest lies at a fixed address and begins with the object to show. The text must end
 * within its bound, be UTF-8 and hold nothing that a terminal obeys. */
#include <stdint.h>
#include <stdlib.h>

#include "show.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BASE = 0x10000, BLOCK = 64 };

static const uint16_t versions[] = {0x0207, 0x0303, 0x0306, 0x0307, 0x0308, 0x0309,
                                    0x030a, 0x030b, 0x030c, 0x030d, 0x030e, 0x030f};

static bool secret(void *context, struct pst_str name)
{
    return name.len % 7 == 3;
}

/* What the debug offsets of later versions would tell. */
static struct pst_layout layout_of(uint8_t choice)
{
    uint16_t version = versions[choice % PST_ARRAY_SIZE(versions)];
    struct pst_layout layout = *pst_layout_row((uint32_t)version << 16, false);
    const struct pst_layout *like = pst_layout_row(0x030c0000, false);

    if (layout.self_described) {
        struct pst_layout own = layout;
        layout.object = like->object;
        layout.object.tuple_items = version >= 0x030e ? 32 : 24;
        layout.object.cached_keys = own.object.cached_keys;
    }
    layout.text_width = layout.text_width ? layout.text_width : choice & 0x80 ? 2 : 4;
    return layout;
}

static void check(const struct pst_show *value)
{
    struct pst_str text = pst_buf_view(&value->text);
    size_t chars = 0;

    if (pst_utf8_valid_prefix(text) != text.len)
        abort();
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c == 0x7f)
            abort();
        chars += (c & 0xc0) != 0x80;
    }
    if (chars > value->options->chars)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct pst_layout layout = layout_of(data[0]);
    struct pst_py_value_options options = {.chars = 8u + data[1], .secret = secret};
    struct pst_memory *memory = pst_memory_new_buffer(BASE, data + 2, size - 2);
    struct pst_trail *trail = memory ? pst_trail_new(memory) : NULL;
    struct pst_show value = {.layout = &layout, .trail = trail, .options = &options};

    pst_buf_init(&value.text, options.chars * 4 + BLOCK);
    if (trail) {
        pst_trail_reset(trail);
        pst_show_begin(&value);
        pst_show_reference(&value, BASE);
        pst_show_end(&value);
        check(&value);
        if (!pst_trail_unchanged(trail))
            abort();
    }
    pst_buf_done(&value.text);
    pst_trail_free(trail);
    pst_memory_free(memory);
    return 0;
}
