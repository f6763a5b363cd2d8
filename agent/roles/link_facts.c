/* The facts message: what discovery says of a target, as the daemon may believe it. Text stays
 * bytes of unknown origin; numbers and enums are in their ranges. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "link.pb-c.h"
#include "link_codec.h"
#include "roles/link.h"

#define NUMBER_FIELDS(X)                                                                           \
    X(id)                                                                                          \
    X(parent_id)                                                                                   \
    X(pid)                                                                                         \
    X(ppid) X(own_pid) X(start_ticks) X(start_time_ns) X(uid) X(random_address) X(debug_build)
#define RUNTIME_FIELDS(X)                                                                          \
    X(hexversion)                                                                                  \
    X(free_threaded)                                                                               \
    X(runtime) X(interp_head) X(tstate_current) X(code_type) X(unicode_type) X(image_start)
#define SCAN_FIELDS(X)                                                                             \
    X(processes) X(denied) X(refused_targets) X(last_run_ns) X(runs) X(cpu_ns) X(memory_bytes)
/* (field, bound) */
#define TEXT_FIELDS(X)                                                                             \
    X(reason, 64)                                                                                  \
    X(comm, 64)                                                                                    \
    X(exe, PST_MAX_LINK_TEXT_BYTES)                                                                \
    X(image, PST_MAX_LINK_TEXT_BYTES)                                                              \
    X(cwd, PST_MAX_LINK_TEXT_BYTES)                                                                \
    X(started_as, PST_MAX_LINK_TEXT_BYTES)                                                         \
    X(cgroup, PST_MAX_LINK_BLOCK_BYTES) X(container_id, 128) X(pod_uid, 40) X(pod_container, 64)
/* Entries that each end in NUL. */
#define BLOCK_FIELDS(X) X(argv) X(env)

static ProtobufCBinaryData cut_text(struct pst_str text, size_t max)
{
    return (ProtobufCBinaryData){text.len < max ? text.len : max, (uint8_t *)(uintptr_t)text.ptr};
}

/* A cut in the middle of NAME=VALUE would make another value of it. */
static ProtobufCBinaryData cut_block(struct pst_str block)
{
    size_t len = block.len;

    if (len > PST_MAX_LINK_BLOCK_BYTES) {
        len = PST_MAX_LINK_BLOCK_BYTES;
        while (len > 0 && block.ptr[len - 1] != '\0')
            len--;
    }
    return (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)block.ptr};
}

static Pst__Link__Runtime encode_runtime(const struct pst_runtime *from)
{
    Pst__Link__Runtime runtime = PST__LINK__RUNTIME__INIT;

#define X(field) runtime.field = from->field;
    RUNTIME_FIELDS(X)
#undef X
    runtime.unicode_width = from->unicode_width;
    return runtime;
}

static int encode_fact(const struct pst_link_facts *from, struct pst_buf *out)
{
    Pst__Link__Facts message = PST__LINK__FACTS__INIT;
    Pst__Link__Fact fact = PST__LINK__FACT__INIT;
    const struct pst_facts *facts = &from->facts;
    Pst__Link__Runtime runtime = encode_runtime(&facts->runtime);
    Pst__Link__Runtime second = encode_runtime(&facts->second);

#define X(field) fact.field = facts->field;
    NUMBER_FIELDS(X)
#undef X
#define X(field, max) fact.field = cut_text(facts->field, max);
    TEXT_FIELDS(X)
#undef X
#define X(field) fact.field = cut_block(facts->field);
    BLOCK_FIELDS(X)
#undef X
    fact.runtime = &runtime;
    fact.second = &second;
    fact.random = (ProtobufCBinaryData){sizeof(facts->random), (uint8_t *)(uintptr_t)facts->random};
    fact.event = from->event;
    fact.state = facts->state;
    fact.build = facts->build;
    fact.env_source = facts->env_source;
    message.version = PST_LINK_VERSION;
    message.fact = &fact;
    return pst_link_pack(&message.base, out);
}

static int encode_scan(const struct pst_link_facts *from, struct pst_buf *out)
{
    Pst__Link__Facts message = PST__LINK__FACTS__INIT;
    Pst__Link__Scan scan = PST__LINK__SCAN__INIT;

#define X(field) scan.field = from->scan.field;
    SCAN_FIELDS(X)
#undef X
    message.version = PST_LINK_VERSION;
    message.scan = &scan;
    return pst_link_pack(&message.base, out);
}

int pst_link_facts_encode(const struct pst_link_facts *facts, struct pst_buf *out)
{
    return facts->kind == PST_LINK_FACT ? encode_fact(facts, out) : encode_scan(facts, out);
}

static bool fact_in_bounds(const Pst__Link__Fact *fact)
{
    if (fact->event > PST_SCAN_GONE || fact->state >= PST_TARGET_STATE_COUNT ||
        fact->build >= PST_BUILD_COUNT || fact->env_source >= PST_ENV_SOURCE_COUNT)
        return false;
    if (fact->id == 0 || fact->id > UINT32_MAX || fact->parent_id > UINT32_MAX ||
        fact->parent_id == fact->id)
        return false;
    if (fact->pid <= 0 || fact->ppid < 0 || fact->own_pid < 0 || fact->start_ticks == 0)
        return false;
    if (!fact->runtime || fact->runtime->unicode_width > 4 || !fact->second ||
        fact->second->unicode_width > 4 || fact->random.len != 16)
        return false;
#define X(field, max)                                                                              \
    if (fact->field.len > (max))                                                                   \
        return false;
    TEXT_FIELDS(X)
#undef X
#define X(field)                                                                                   \
    if (fact->field.len > PST_MAX_LINK_BLOCK_BYTES)                                                \
        return false;
    BLOCK_FIELDS(X)
#undef X
    return true;
}

static struct pst_str view(ProtobufCBinaryData data)
{
    return (struct pst_str){data.len > 0 ? (const char *)data.data : "", data.len};
}

static struct pst_runtime decode_runtime(const Pst__Link__Runtime *from)
{
    struct pst_runtime runtime = {.unicode_width = (uint8_t)from->unicode_width};

#define X(field) runtime.field = from->field;
    RUNTIME_FIELDS(X)
#undef X
    return runtime;
}

static int decode_fact(const Pst__Link__Fact *fact, struct pst_link_facts *ret)
{
    if (!fact_in_bounds(fact))
        return -EBADMSG;
    struct pst_facts *facts = &ret->facts;
#define X(field) facts->field = fact->field;
    NUMBER_FIELDS(X)
#undef X
#define X(field, max) facts->field = view(fact->field);
    TEXT_FIELDS(X)
#undef X
#define X(field) facts->field = view(fact->field);
    BLOCK_FIELDS(X)
#undef X
    facts->runtime = decode_runtime(fact->runtime);
    facts->second = decode_runtime(fact->second);
    memcpy(facts->random, fact->random.data, sizeof(facts->random));
    ret->kind = PST_LINK_FACT;
    ret->event = (enum pst_scan_event)fact->event;
    facts->state = (enum pst_target_state)fact->state;
    facts->build = (enum pst_build)fact->build;
    facts->env_source = (enum pst_env_source)fact->env_source;
    return 0;
}

static int decode_scan(const Pst__Link__Scan *scan, struct pst_link_facts *ret)
{
    ret->kind = PST_LINK_SCAN;
#define X(field) ret->scan.field = scan->field;
    SCAN_FIELDS(X)
#undef X
    return 0;
}

int pst_link_facts_decode(const void *data, size_t len, struct pst_link_facts *ret)
{
    ProtobufCMessage *base = pst_link_unpack(&pst__link__facts__descriptor, data, len);
    const Pst__Link__Facts *message = (const Pst__Link__Facts *)base;
    int status = -EBADMSG;

    memset(ret, 0, sizeof(*ret));
    if (message && message->version == PST_LINK_VERSION) {
        if (message->fact && !message->scan)
            status = decode_fact(message->fact, ret);
        else if (message->scan && !message->fact)
            status = decode_scan(message->scan, ret);
    }
    if (status == 0)
        ret->owner = base;
    else
        pst_link_release(base);
    return status;
}

void pst_link_facts_done(struct pst_link_facts *facts)
{
    pst_link_release(facts->owner);
    facts->owner = NULL;
}
