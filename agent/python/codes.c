/* The code cache of one target. Keyed by address; an entry counts only while its header reads the
 * same, since freed code objects leave their addresses to others. */
#include "codes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/map.h"
#include "text.h"

enum {
    REQUESTS_MAX = 1000, /* two pieces each would still be few calls */
    TYPE_NAME_BYTES = 8,
    PROBE_BYTES = 16, /* length and hash of a name */
    FRAME_WORDS_MAX = 1 << 20,
};

struct request {
    uint64_t address;
    uint32_t known; /* index, or PST_CODE_NONE */
};

struct pst_codes {
    struct pst_memory *memory;
    struct pst_layout layout;
    struct pst_spans spans;
    uint64_t code_type;
    uint64_t epoch;

    struct pst_map *by_address; /* u64 -> u32 index */
    struct pst_code *entries;
    uint32_t count, cap, serial;
    size_t line_bytes;
    bool any_lineless;

    struct pst_publics *publics;

    struct request *requests;
    uint32_t request_count, request_cap;
    unsigned char *headers; /* a span and a probe for each request */
    struct pst_piece *pieces;
    struct pst_buf text, table;
};

static uint64_t word(const unsigned char *data, uint32_t offset)
{
    uint64_t value;
    memcpy(&value, data + offset, sizeof(value));
    return value;
}

static uint32_t half(const unsigned char *data, uint32_t offset)
{
    uint32_t value;
    memcpy(&value, data + offset, sizeof(value));
    return value;
}

struct pst_codes *pst_codes_new(struct pst_memory *memory, const struct pst_layout *layout,
                                const struct pst_spans *spans, uint64_t code_type)
{
    struct pst_codes *codes = calloc(1, sizeof(*codes));

    if (!codes)
        return NULL;
    codes->memory = memory;
    codes->layout = *layout;
    codes->spans = *spans;
    codes->code_type = code_type;
    codes->by_address = pst_map_new(sizeof(uint64_t), sizeof(uint32_t), PST_MAX_CODES_PER_TARGET);
    codes->publics = pst_publics_new();
    pst_buf_init(&codes->text, PST_MAX_STRING_BYTES);
    pst_buf_init(&codes->table, PST_MAX_LINETABLE_BYTES);
    if (!codes->by_address || !codes->publics)
        return pst_codes_free(codes);
    return codes;
}

static void forget_addresses(struct pst_codes *codes)
{
    for (uint32_t i = 0; i < codes->count; i++)
        pst_lines_done(&codes->entries[i].lines);
    codes->count = 0;
    codes->line_bytes = 0;
    codes->epoch++;
    if (codes->by_address)
        pst_map_clear(codes->by_address);
}

struct pst_codes *pst_codes_free(struct pst_codes *codes)
{
    if (!codes)
        return NULL;
    forget_addresses(codes);
    pst_map_free(codes->by_address);
    pst_publics_free(codes->publics);
    pst_buf_done(&codes->text);
    pst_buf_done(&codes->table);
    free(codes->entries);
    free(codes->requests);
    free(codes->headers);
    free(codes->pieces);
    free(codes);
    return NULL;
}

void pst_codes_reset(struct pst_codes *codes)
{
    forget_addresses(codes);
    pst_map_release(codes->by_address);
    pst_publics_reset(codes->publics);
    free(codes->entries);
    codes->entries = NULL;
    codes->any_lineless = false;
    codes->request_count = codes->cap = 0;
}

size_t pst_codes_bytes(const struct pst_codes *codes)
{
    return codes->line_bytes + pst_map_bytes(codes->by_address) +
           pst_publics_bytes(codes->publics) + codes->cap * sizeof(*codes->entries);
}

uint32_t pst_codes_find(const struct pst_codes *codes, uint64_t address)
{
    const uint32_t *index = pst_map_get(codes->by_address, &address);
    return index ? *index : (uint32_t)PST_CODE_NONE;
}

const struct pst_code *pst_codes_get(const struct pst_codes *codes, uint32_t index)
{
    return &codes->entries[index];
}

bool pst_code_is_helper(const struct pst_codes *codes, uint32_t index)
{
    const struct pst_code *code = &codes->entries[index];

    return code->identity.name == code->identity.filename &&
           pst_str_eq(pst_publics_get(codes->publics, code->public_id)->name, PST_STR("__init__"));
}

uint64_t pst_codes_epoch(const struct pst_codes *codes)
{
    return codes->epoch;
}

struct pst_publics *pst_codes_publics(struct pst_codes *codes)
{
    return codes->publics;
}

bool pst_codes_any_lineless(const struct pst_codes *codes)
{
    return codes->any_lineless;
}

struct pst_first_argument *pst_codes_first_argument(struct pst_codes *codes, uint32_t index)
{
    struct pst_code *code = &codes->entries[index];

    if (code->first.kind == PST_FIRST_UNASKED)
        pst_first_argument_read(codes->memory, &codes->layout, code, &code->first);
    return &code->first;
}

size_t pst_codes_requested(const struct pst_codes *codes)
{
    return codes->request_count;
}

static bool grow_requests(struct pst_codes *codes)
{
    uint32_t cap = codes->request_cap ? codes->request_cap * 2 : 32;
    size_t each = codes->spans.code_len + PROBE_BYTES;
    struct request *requests = realloc(codes->requests, cap * sizeof(*requests));
    if (requests)
        codes->requests = requests;
    unsigned char *headers = realloc(codes->headers, cap * each);
    if (headers)
        codes->headers = headers;
    struct pst_piece *pieces = realloc(codes->pieces, 2 * cap * sizeof(*pieces));
    if (pieces)
        codes->pieces = pieces;
    if (!requests || !headers || !pieces)
        return false;
    codes->request_cap = cap;
    return true;
}

bool pst_codes_request(struct pst_codes *codes, uint64_t address)
{
    for (uint32_t i = 0; i < codes->request_count; i++) {
        if (codes->requests[i].address == address)
            return false;
    }
    if (codes->request_count >= REQUESTS_MAX)
        return false;
    if (codes->request_count == codes->request_cap && !grow_requests(codes))
        return false;
    codes->requests[codes->request_count++] =
        (struct request){address, pst_codes_find(codes, address)};
    return true;
}

static struct pst_code_identity identity_of(const struct pst_codes *codes,
                                            const unsigned char *header)
{
    const struct pst_layout *l = &codes->layout;
    return (struct pst_code_identity){
        .filename = word(header, l->code.filename),
        .name = word(header, l->code.name),
        .qualname = l->code.qualname ? word(header, l->code.qualname) : 0,
        .lines = word(header, l->code.lines),
        .bytecode = l->code.units ? word(header, l->code.units) : word(header, l->code.bytecode),
        .first_line = half(header, l->code.first_line),
        .flags = half(header, l->code.flags),
        .argcount = half(header, l->code.argcount),
        .version = l->code.version ? half(header, l->code.version) : 0,
    };
}

/* Type objects are immortal where they matter; learnt from the first code object when the symbol
 * is not known. */
static bool is_code_type(struct pst_codes *codes, uint64_t type)
{
    char name[TYPE_NAME_BYTES] = "";
    uint64_t address;

    if (codes->code_type)
        return type == codes->code_type;
    if (!pst_memory_plausible(type) ||
        pst_memory_u64(codes->memory, type + codes->layout.object.type_name, &address) < 0 ||
        pst_memory_read(codes->memory, address, name, 5) < 0 || memcmp(name, "code", 5) != 0)
        return false;
    codes->code_type = type;
    return true;
}

static int intern_text(struct pst_codes *codes, uint64_t address, uint32_t *ret)
{
    int error = pst_text_read(codes->memory, &codes->layout, address, &codes->text);
    if (error < 0)
        return error;
    return pst_publics_text(codes->publics, pst_buf_view(&codes->text), ret);
}

static int read_names(struct pst_codes *codes, const struct pst_code_identity *identity,
                      uint32_t *ret_id)
{
    struct pst_public_key key = {.first_line = (int32_t)identity->first_line};
    int error = intern_text(codes, identity->name, &key.name);

    if (error == 0)
        error = intern_text(codes, identity->filename, &key.filename);
    key.qualname = key.name;
    if (error == 0 && codes->layout.code.qualname)
        error = intern_text(codes, identity->qualname, &key.qualname);
    if (error == 0)
        error = pst_publics_add(codes->publics, &key, ret_id);
    return error == -ENOSPC ? pst_publics_overflow(codes->publics, ret_id) : error;
}

/* A table that cannot be read costs its lines, not the frame. What CPython compiled always has one,
 * or up to 3.10 at least instructions. */
static void read_lines(struct pst_codes *codes, struct pst_code *code)
{
    const struct pst_code_identity *identity = &code->identity;

    code->lines = (struct pst_lines){.first_line = (int32_t)identity->first_line};
    if (pst_bytes_read(codes->memory, &codes->layout, identity->lines, PST_MAX_LINETABLE_BYTES,
                       &codes->table) == 0) {
        (void)pst_lines_decode(codes->layout.lines_kind, (int32_t)identity->first_line,
                               (const unsigned char *)codes->table.data, codes->table.len,
                               &code->lines);
        code->lineless = codes->table.len == 0 && (codes->layout.code.units || code->bytes == 0);
        codes->any_lineless |= code->lineless;
    }
    /* Long tables are rare: their copy is not worth keeping. */
    if (codes->table.cap > 16384)
        pst_buf_done(&codes->table);
}

static int read_bytecode_size(struct pst_codes *codes, struct pst_code *code)
{
    uint64_t size = code->identity.bytecode;

    if (codes->layout.code.units) {
        code->start = code->address + codes->layout.code.bytecode;
        size *= 2;
    } else if (pst_memory_u64(codes->memory, size + codes->layout.object.bytes_size, &size) < 0) {
        return -EFAULT;
    }
    if (size > INT32_MAX)
        return -EINVAL;
    code->bytes = (uint32_t)size;
    return 0;
}

static int read_probe(struct pst_codes *codes, struct pst_code_identity *identity)
{
    unsigned char probe[PROBE_BYTES];

    if (codes->layout.code.version)
        return 0;
    int error = pst_memory_read(codes->memory, identity->name + codes->layout.object.text_length,
                                probe, sizeof(probe));
    if (error == 0) {
        identity->name_length = word(probe, 0);
        identity->name_hash = word(probe, 8);
    }
    return error;
}

/* Its fixed part, its variables and its temporaries, whose number stands before the first line. */
static uint32_t frame_bytes(const struct pst_layout *l, const unsigned char *header)
{
    if (l->frames_kind == PST_FRAMES_OBJECT || !l->code.plus_count)
        return 0;
    uint32_t variables = half(header, l->code.plus_count);
    uint32_t temporaries = half(header, l->code.first_line - (uint32_t)sizeof(uint32_t));

    if (variables > FRAME_WORDS_MAX || temporaries > FRAME_WORDS_MAX)
        return 0;
    return l->frame.localsplus + (variables + temporaries) * 8;
}

static int decode(struct pst_codes *codes, uint64_t address, const unsigned char *header,
                  struct pst_code *ret)
{
    *ret = (struct pst_code){.address = address,
                             .identity = identity_of(codes, header),
                             .frame_bytes = frame_bytes(&codes->layout, header)};
    if (!is_code_type(codes, word(header, codes->layout.object.type)))
        return -EINVAL;
    int error = read_bytecode_size(codes, ret);
    if (error == 0)
        error = read_probe(codes, &ret->identity);
    if (error == 0)
        error = read_names(codes, &ret->identity, &ret->public_id);
    if (error == 0)
        read_lines(codes, ret);
    return error;
}

static void drop(struct pst_codes *codes, const struct request *request)
{
    (void)pst_map_remove(codes->by_address, &request->address);
    if (request->known != PST_CODE_NONE) {
        struct pst_code *code = &codes->entries[request->known];
        codes->line_bytes -= code->lines.count * sizeof(*code->lines.runs);
        pst_lines_done(&code->lines);
        code->address = 0; /* the slot stays empty until the next flush */
        codes->epoch++;
    }
}

static bool grow_entries(struct pst_codes *codes)
{
    uint32_t cap = codes->cap ? codes->cap * 2 : 64;
    struct pst_code *entries = realloc(codes->entries, cap * sizeof(*entries));

    if (!entries)
        return false;
    codes->entries = entries;
    codes->cap = cap;
    return true;
}

static void keep(struct pst_codes *codes, const struct request *request, struct pst_code *code)
{
    uint32_t index = request->known;
    void *value;

    if (index == PST_CODE_NONE) {
        if (codes->count == codes->cap && !grow_entries(codes)) {
            pst_lines_done(&code->lines);
            return;
        }
        if (pst_map_put(codes->by_address, &code->address, &value, NULL) < 0) {
            pst_lines_done(&code->lines);
            return;
        }
        index = codes->count++;
        memcpy(value, &index, sizeof(index));
    } else {
        struct pst_code *old = &codes->entries[index];
        codes->line_bytes -= old->lines.count * sizeof(*old->lines.runs);
        pst_lines_done(&old->lines);
        codes->epoch++;
    }
    code->serial = ++codes->serial;
    codes->entries[index] = *code;
    codes->line_bytes += code->lines.count * sizeof(*code->lines.runs);
}

static bool unchanged(const struct pst_codes *codes, const struct pst_code *known,
                      const unsigned char *header)
{
    struct pst_code_identity identity = identity_of(codes, header);

    if (!codes->layout.code.version) {
        const unsigned char *probe = header + codes->spans.code_len;
        identity.name_length = word(probe, 0);
        identity.name_hash = word(probe, 8);
    }
    return memcmp(&identity, &known->identity, sizeof(identity)) == 0;
}

static size_t add_pieces(struct pst_codes *codes, const struct request *request,
                         unsigned char *header, struct pst_piece *pieces)
{
    pieces[0] = (struct pst_piece){request->address, header, codes->spans.code_len};
    if (codes->layout.code.version || request->known == PST_CODE_NONE)
        return 1;
    uint64_t name = codes->entries[request->known].identity.name;
    pieces[1] = (struct pst_piece){name + codes->layout.object.text_length,
                                   header + codes->spans.code_len, PROBE_BYTES};
    return 2;
}

static void settle_one(struct pst_codes *codes, const struct request *request,
                       const unsigned char *header, uint64_t now_ns, uint64_t generation)
{
    struct pst_code fresh;

    if (request->known != PST_CODE_NONE &&
        unchanged(codes, &codes->entries[request->known], header)) {
        codes->entries[request->known].verified_ns = now_ns;
        codes->entries[request->known].generation = generation;
        return;
    }
    if (decode(codes, request->address, header, &fresh) < 0) {
        pst_lines_done(&fresh.lines);
        drop(codes, request);
        return;
    }
    fresh.verified_ns = now_ns;
    fresh.generation = generation;
    keep(codes, request, &fresh);
}

static void flush_when_full(struct pst_codes *codes)
{
    if (codes->line_bytes < PST_MAX_CODE_LINES_BYTES &&
        codes->count + REQUESTS_MAX < PST_MAX_CODES_PER_TARGET)
        return;
    forget_addresses(codes);
    for (uint32_t i = 0; i < codes->request_count; i++)
        codes->requests[i].known = PST_CODE_NONE;
}

void pst_codes_settle(struct pst_codes *codes, uint64_t now_ns, uint64_t generation)
{
    size_t each = codes->spans.code_len + PROBE_BYTES;
    uint32_t first = 0;

    flush_when_full(codes);
    while (first < codes->request_count) {
        size_t count = 0, done = 0;
        for (uint32_t i = first; i < codes->request_count; i++)
            count += add_pieces(codes, &codes->requests[i], codes->headers + i * each,
                                codes->pieces + count);
        int error = pst_memory_readv(codes->memory, codes->pieces, count, &done);
        while (first < codes->request_count) {
            const struct request *request = &codes->requests[first];
            struct pst_piece pieces[2];
            size_t need = add_pieces(codes, request, codes->headers + first * each, pieces);
            if (error < 0 && done < need) { /* this one cannot be read */
                drop(codes, request);
                first++;
                break;
            }
            done -= need;
            settle_one(codes, request, codes->headers + first * each, now_ns, generation);
            first++;
        }
        if (error < 0 && error != -EFAULT)
            break;
    }
    codes->request_count = 0;
}
