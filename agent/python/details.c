/* What a frame tells beside the chain, by leads: the class of the object that a method was called
 * on, where the version has no qualified names; and the line of frames that run no bytecode, which
 * compiled programs (Nuitka's) write into their frame objects. */
#include <stdlib.h>
#include <string.h>

#include "base/intern.h"
#include "base/limits.h"
#include "base/map.h"
#include "leads.h"
#include "text.h"

enum {
    NAME_BYTES = 256, /* of a class without a str for its name */
    FLAG_HEAP = 9,    /* bits of tp_flags */
    FLAG_TYPE = 31,
    PASSES = 2, /* an instance of an old-style class is told only by its type */
    /* 2.x, classes that derive from nothing: in_class of an instance, cl_name of a class. */
    OLD_CLASS = 16,
    OLD_NAME = 32,
    FRAME_OF = 8,  /* f_frame of a frame object, 3.11+, from the end of an object's head */
    LINE_OF = 24,  /* f_lineno */
    LINE_NEXT = 4, /* up to 3.10 it follows f_lasti */
};

static const uint32_t SEVERAL = UINT32_MAX; /* classes */

enum kind { KIND_LINE, KIND_SELF, KIND_CLS, KIND_OLD_SELF, KIND_OLD_CLS };

/* What the last sample read at a place of a stack. */
struct pst_led {
    uint64_t words[PST_LEAD_STEPS];
    uint8_t known, kind;
    uint32_t variable;
};

struct class_key {
    uint64_t kind, type, holder, name;
};

struct in_class {
    uint32_t public_id, class_id;
};

struct pst_details {
    struct pst_leads *leads;
    struct pst_map *classes;  /* class_key -> u32 class id, 0: without a name */
    struct pst_map *publics;  /* in_class -> u32 public id */
    struct pst_intern *names; /* id + 1 is the class id */
};

static struct pst_details *details_free(struct pst_details *details)
{
    if (!details)
        return NULL;
    pst_leads_free(details->leads);
    pst_map_free(details->classes);
    pst_map_free(details->publics);
    pst_intern_free(details->names);
    free(details);
    return NULL;
}

void pst_details_free(struct pst_python *python)
{
    python->details = details_free(python->details);
}

static struct pst_details *details_new(void)
{
    struct pst_details *details = calloc(1, sizeof(*details));

    if (!details)
        return NULL;
    details->leads = pst_leads_new();
    details->classes =
        pst_map_new(sizeof(struct class_key), sizeof(uint32_t), PST_MAX_CLASSES_PER_TARGET);
    details->publics =
        pst_map_new(sizeof(struct in_class), sizeof(uint32_t), PST_MAX_CODES_PER_TARGET);
    details->names = pst_intern_new(PST_MAX_CLASSES_PER_TARGET, PST_MAX_CLASS_TEXT_BYTES);
    if (!details->leads || !details->classes || !details->publics || !details->names)
        return details_free(details);
    return details;
}

void pst_details_reset(struct pst_python *python)
{
    if (!python->details)
        return;
    pst_map_clear(python->details->classes);
    pst_map_clear(python->details->publics);
    pst_intern_clear(python->details->names);
}

/* --- what is asked of a frame --- */

static void add_step(struct pst_lead *lead, int base, uint32_t offset)
{
    lead->steps[lead->count++] = (struct pst_lead_step){base, offset};
}

static void lead_to_line(struct pst_lead *lead, const struct pst_layout *l)
{
    uint32_t head = l->object.type + 8;

    if (l->frames_kind == PST_FRAMES_OBJECT) {
        add_step(lead, PST_LEAD_FRAME, l->frame.instr + LINE_NEXT);
        return;
    }
    add_step(lead, PST_LEAD_FRAME, l->frame.object);
    add_step(lead, 0, head + FRAME_OF);
    add_step(lead, 0, head + LINE_OF);
}

/* The first argument, its type, what holds the name, the name. */
static void lead_to_class(struct pst_lead *lead, const struct pst_layout *l,
                          const struct pst_first_argument *first)
{
    lead->still = true;
    add_step(lead, PST_LEAD_FRAME, l->frame.localsplus + 8 * first->slot);
    if (first->cell)
        add_step(lead, 0, l->object.cell_ref);
    int object = lead->count - 1;
    add_step(lead, object, l->object.type);
    switch ((enum kind)lead->kind) {
    case KIND_SELF:
        add_step(lead, lead->count - 1, l->object.type_name);
        break;
    case KIND_CLS:
        add_step(lead, object, l->object.type_name);
        break;
    case KIND_OLD_SELF:
        add_step(lead, object, OLD_CLASS);
        add_step(lead, lead->count - 1, OLD_NAME);
        break;
    default:
        add_step(lead, object, OLD_NAME);
    }
}

static bool led_reserve(struct pst_thread *thread, uint32_t place)
{
    if (place < thread->led_count)
        return true;
    uint32_t count = (place | 15) + 1;
    struct pst_led *led = realloc(thread->led, count * sizeof(*led));
    if (!led)
        return false;
    memset(led + thread->led_count, 0, (count - thread->led_count) * sizeof(*led));
    thread->led = led;
    thread->led_count = count;
    return true;
}

static struct pst_led *led_of(struct pst_python *python, const struct pst_lead *lead)
{
    struct pst_thread *thread = &python->threads[lead->thread];

    return lead->place < thread->led_count ? &thread->led[lead->place] : NULL;
}

/* What is known of the place is known of this frame where the same was asked there. */
static void begin(struct pst_python *python, struct pst_lead *lead, uint8_t kind,
                  const struct pst_first_argument *first)
{
    struct pst_led *led = led_of(python, lead);
    lead->kind = kind;
    lead->variable = first->slot * 2u + first->cell;
    bool same = led && led->variable == lead->variable;

    if (same && kind != KIND_LINE && (led->kind == kind || led->kind == kind + 2))
        lead->kind = led->kind;
    if (kind == KIND_LINE)
        lead_to_line(lead, &python->layout);
    else
        lead_to_class(lead, &python->layout, first);
    if (!same || led->kind != lead->kind)
        return;
    memcpy(lead->words, led->words, sizeof(lead->words));
    lead->known = led->known;
}

static void ask(struct pst_python *python, uint32_t thread, uint32_t place, uint8_t kind,
                const struct pst_first_argument *first)
{
    struct pst_thread *of = &python->threads[thread];
    struct pst_lead *lead = pst_leads_add(python->details->leads);

    if (!lead)
        return;
    lead->frame = &python->scratch->raw[of->first_raw + of->raw_count - 1 - place];
    lead->thread = thread;
    lead->place = place;
    (void)led_reserve(of, place);
    begin(python, lead, kind, first);
}

static void ask_frame(struct pst_python *python, uint32_t thread, uint32_t place)
{
    static const struct pst_first_argument none = {0};
    const struct pst_thread *of = &python->threads[thread];
    const struct pst_raw_frame *frame =
        &python->scratch->raw[of->first_raw + of->raw_count - 1 - place];
    uint32_t index = pst_codes_find(python->codes, frame->code);

    if (index == PST_CODE_NONE)
        return;
    if (pst_codes_get(python->codes, index)->lineless)
        ask(python, thread, place, KIND_LINE, &none);
    if (!python->name_classes || python->layout.code.qualname)
        return;
    const struct pst_first_argument *first = pst_codes_first_argument(python->codes, index);
    if (first->kind == PST_FIRST_SELF || first->kind == PST_FIRST_CLS)
        ask(python, thread, place, first->kind == PST_FIRST_SELF ? KIND_SELF : KIND_CLS, first);
}

/* --- what was read --- */

static int read_c_name(struct pst_python *python, uint64_t address, struct pst_buf *ret)
{
    char text[NAME_BYTES];
    size_t room = 4096 - (size_t)(address & 4095);

    if (room > sizeof(text)) /* what lies behind its end may not be mapped */
        room = sizeof(text);
    int error = pst_memory_read(python->memory, address, text, room);
    if (error < 0)
        return error;
    struct pst_str name = {text, strnlen(text, room)};
    for (size_t i = name.len; i-- > 0;) {
        if (name.ptr[i] == '.') { /* of a static type: behind its module */
            name = (struct pst_str){name.ptr + i + 1, name.len - i - 1};
            break;
        }
    }
    return pst_buf_utf8(ret, name);
}

static int read_class_name(struct pst_python *python, const struct class_key *key,
                           struct pst_buf *ret)
{
    const struct pst_layout *l = &python->layout;
    uint64_t flags = 0, qualname = 0;

    if (key->kind == KIND_OLD_SELF || key->kind == KIND_OLD_CLS)
        return pst_text_read(python->memory, l, key->name, ret);
    int error = pst_memory_u64(python->memory, key->holder + l->object.type_flags, &flags);
    if (error == 0 && (flags >> FLAG_HEAP & 1) && l->object.cached_keys &&
        pst_memory_u64(python->memory, key->holder + l->object.cached_keys - 8, &qualname) == 0 &&
        pst_text_read(python->memory, l, qualname, ret) == 0)
        return 0;
    pst_buf_reset(ret);
    return error < 0 ? error : read_c_name(python, key->name, ret);
}

/* Whether what a lead came to is what its kind supposes; else *ret_kind is what it is. */
static bool kind_holds(struct pst_python *python, const struct class_key *key, uint8_t *ret_kind)
{
    const struct pst_layout *l = &python->layout;
    uint64_t flags = 0, name = 0;
    char text[16] = "";

    *ret_kind = (uint8_t)key->kind;
    if (pst_memory_u64(python->memory, key->type + l->object.type_flags, &flags) < 0)
        return false;
    if (l->version < 0x0300 && !(flags >> FLAG_HEAP & 1) &&
        pst_memory_u64(python->memory, key->type + l->object.type_name, &name) == 0)
        (void)pst_memory_read(python->memory, name, text, sizeof(text) - 1);
    switch ((enum kind)key->kind) {
    case KIND_SELF:
        if (strcmp(text, "instance") == 0)
            *ret_kind = KIND_OLD_SELF;
        return *ret_kind == KIND_SELF;
    case KIND_CLS:
        if (strcmp(text, "classobj") == 0)
            *ret_kind = KIND_OLD_CLS;
        return *ret_kind == KIND_CLS && (flags >> FLAG_TYPE & 1);
    case KIND_OLD_SELF:
        if (strcmp(text, "instance") != 0)
            *ret_kind = KIND_SELF;
        return true;
    default:
        if (strcmp(text, "classobj") != 0)
            *ret_kind = KIND_CLS;
        return true;
    }
}

static uint32_t learn_class(struct pst_python *python, const struct class_key *key)
{
    struct pst_buf name;
    uint32_t id;

    pst_buf_init(&name, PST_MAX_STRING_BYTES);
    bool told = read_class_name(python, key, &name) == 0 && name.len > 0 &&
                pst_intern_add(python->details->names, name.data, name.len, &id) == 0;
    pst_buf_done(&name);
    return told ? id + 1 : 0;
}

/* Whether what was read belongs to the walk's frame, and not to the next one in its place. */
static bool told(const struct pst_lead *lead)
{
    const struct pst_raw_frame *frame = lead->frame;

    return !lead->lost && lead->settled &&
           (lead->variable != 0 || frame->first_word == 0 || frame->first_word == lead->words[0]);
}

/* False: the lead has to be read again, as one of another kind. */
static bool take_class(struct pst_python *python, struct pst_lead *lead)
{
    struct pst_details *details = python->details;
    bool by_type = lead->kind == KIND_SELF;
    int last = lead->count - 1, holder = lead->steps[last].base;
    int type = lead->kind == KIND_OLD_SELF ? last - 2 : last - 1;
    struct class_key key = {lead->kind, lead->words[by_type ? holder : type], lead->words[holder],
                            lead->words[last]};
    uint32_t *known = pst_map_get(details->classes, &key);
    uint8_t kind = lead->kind;
    void *value;

    if (!known) {
        bool holds = kind_holds(python, &key, &kind);
        if (kind != lead->kind) {
            lead->kind = kind;
            lead->known = 0;
            return false;
        }
        if (pst_map_count(details->classes) == PST_MAX_CLASSES_PER_TARGET)
            pst_map_clear(details->classes);
        if (pst_map_put(details->classes, &key, &value, NULL) < 0)
            return true;
        known = value;
        *known = holds ? learn_class(python, &key) : 0;
    }
    lead->frame->class_id = *known;
    return true;
}

/* A short call is over before its class can be asked for. It is called like the others of its code
 * as long as all those were of one class. */
static void settle_class(struct pst_python *python, struct pst_lead *lead)
{
    uint32_t index = pst_codes_find(python->codes, lead->frame->code);

    if (index == PST_CODE_NONE)
        return;
    struct pst_first_argument *first = pst_codes_first_argument(python->codes, index);
    if (!told(lead))
        lead->frame->class_id = first->class_id == SEVERAL ? 0 : first->class_id;
    else if (first->class_id == 0)
        first->class_id = lead->frame->class_id;
    else if (first->class_id != lead->frame->class_id)
        first->class_id = SEVERAL;
}

static void take_line(struct pst_python *python, struct pst_lead *lead)
{
    bool direct = python->layout.frames_kind == PST_FRAMES_OBJECT;
    int32_t line = (int32_t)(uint32_t)lead->words[lead->count - 1];

    if (line > 0 && (direct || lead->words[1] == lead->frame->address))
        lead->frame->own_line = line;
}

static void remember(struct pst_python *python, const struct pst_lead *lead)
{
    struct pst_led *led = led_of(python, lead);

    if (!led)
        return;
    memcpy(led->words, lead->words, sizeof(led->words));
    led->known = lead->known;
    led->kind = lead->kind;
    led->variable = lead->variable;
}

/* Whether a further reading has something to find. */
static bool take(struct pst_python *python)
{
    struct pst_leads *leads = python->details->leads;
    bool again = false;

    for (uint32_t i = 0; i < pst_leads_count(leads); i++) {
        struct pst_lead *lead = pst_leads_at(leads, i);
        if (!told(lead) || lead->frame->class_id || lead->frame->own_line)
            continue;
        if (lead->kind == KIND_LINE)
            take_line(python, lead);
        else if (!take_class(python, lead))
            again = true;
        remember(python, lead);
    }
    return again;
}

static void ask_thread(struct pst_python *python, uint32_t thread)
{
    for (uint32_t place = 0; place < python->threads[thread].raw_count; place++)
        ask_frame(python, thread, place);
}

void pst_details_read(struct pst_python *python, uint32_t first, uint32_t end)
{
    bool classes = python->name_classes && !python->layout.code.qualname;

    if (!classes && !pst_codes_any_lineless(python->codes))
        return;
    if (!python->details && !(python->details = details_new()))
        return;
    bool again = true;
    for (int pass = 0; pass < PASSES && again; pass++) {
        pst_leads_reset(python->details->leads);
        for (uint32_t i = first; i < end; i++) {
            if (python->threads[i].state == PST_THREAD_WALKED)
                ask_thread(python, i);
        }
        if (pst_leads_count(python->details->leads) == 0)
            return;
        pst_leads_read(python->details->leads, python->memory, &python->layout);
        again = take(python);
    }
    for (uint32_t i = 0; i < pst_leads_count(python->details->leads); i++) {
        struct pst_lead *lead = pst_leads_at(python->details->leads, i);
        if (lead->kind != KIND_LINE)
            settle_class(python, lead);
    }
}

uint32_t pst_details_public(struct pst_python *python, uint32_t public_id, uint32_t class_id)
{
    struct in_class key = {public_id, class_id};
    struct pst_details *details = python->details;
    const uint32_t *known = pst_map_get(details->publics, &key);
    uint32_t id;
    void *value;

    if (known)
        return *known;
    if (pst_publics_in_class(pst_codes_publics(python->codes), public_id,
                             pst_intern_get(details->names, class_id - 1), &id) < 0)
        return public_id;
    if (pst_map_put(details->publics, &key, &value, NULL) == 0)
        memcpy(value, &id, sizeof(id));
    return id;
}

void pst_python_name_classes(struct pst_python *python, bool wanted)
{
    python->name_classes = wanted;
    if (python->second)
        pst_python_name_classes(python->second, wanted);
}
