/* The plan: what the daemon asks of the readers, in ids and bounded numbers only. */
#include <errno.h>
#include <math.h>

#include "base/clock.h"
#include "base/limits.h"
#include "link.pb-c.h"
#include "link_codec.h"
#include "roles/link.h"

#define ALL_MODES      ((1u << PST_MODE_COUNT) - 1)
#define MAX_MILLIHERTZ 1000000u

static uint32_t to_millihertz(double hz)
{
    if (!(hz > 0.001))
        return 1;
    return hz >= 1000 ? MAX_MILLIHERTZ : (uint32_t)(hz * 1000 + 0.5);
}

static int encode_sampling(const struct pst_link_plan *plan, struct pst_buf *out)
{
    Pst__Link__Plan message = PST__LINK__PLAN__INIT;
    Pst__Link__Sampling sampling = PST__LINK__SAMPLING__INIT;
    Pst__Link__Row rows[PST_MAX_PLAN_ROWS], *pointers[PST_MAX_PLAN_ROWS];

    for (size_t i = 0; i < plan->row_count; i++) {
        const struct pst_plan_row *from = &plan->rows[i];
        pst__link__row__init(&rows[i]);
        rows[i].target = from->target;
        rows[i].millihertz = to_millihertz(from->hz);
        rows[i].modes = from->modes;
        rows[i].window_ns = from->window_ns;
        rows[i].max_frames = from->max_frames;
        rows[i].priority = from->priority;
        rows[i].class_names = from->class_names;
        pointers[i] = &rows[i];
    }
    sampling.generation = plan->generation;
    sampling.first = plan->first;
    sampling.last = plan->last;
    sampling.enabled = plan->enabled;
    sampling.shrink = plan->shrink;
    sampling.n_rows = plan->row_count;
    sampling.rows = pointers;
    message.version = PST_LINK_VERSION;
    message.sampling = &sampling;
    return pst_link_pack(&message.base, out);
}

static int encode_discovery(const struct pst_link_plan *plan, struct pst_buf *out)
{
    Pst__Link__Plan message = PST__LINK__PLAN__INIT;
    Pst__Link__Discovery discovery = PST__LINK__DISCOVERY__INIT;

    discovery.interval_ns = plan->interval_ns;
    discovery.min_age_ns = plan->min_age_ns;
    discovery.resend = plan->resend;
    message.version = PST_LINK_VERSION;
    message.discovery = &discovery;
    return pst_link_pack(&message.base, out);
}

int pst_link_plan_encode(const struct pst_link_plan *plan, struct pst_buf *out)
{
    if (plan->kind == PST_LINK_DISCOVERY)
        return encode_discovery(plan, out);
    if (plan->row_count > PST_MAX_PLAN_ROWS)
        return -EINVAL;
    return encode_sampling(plan, out);
}

static int decode_row(const Pst__Link__Row *row, struct pst_plan_row *ret)
{
    if (row->target == 0 || row->millihertz == 0 || row->millihertz > MAX_MILLIHERTZ)
        return -EBADMSG;
    if (row->modes == 0 || (row->modes & ~ALL_MODES) != 0)
        return -EBADMSG;
    if (row->window_ns < PST_NS_PER_MS || row->window_ns > PST_MAX_WINDOW_SECONDS * PST_NS_PER_S)
        return -EBADMSG;
    if (row->max_frames == 0 || row->max_frames > PST_MAX_FRAMES_WALKED)
        return -EBADMSG;
    *ret = (struct pst_plan_row){
        .target = row->target,
        .modes = row->modes,
        .priority = row->priority,
        .max_frames = row->max_frames,
        .hz = row->millihertz / 1000.0,
        .window_ns = row->window_ns,
        .class_names = row->class_names,
    };
    return 0;
}

static int decode_sampling(const Pst__Link__Sampling *sampling, struct pst_link_plan *ret)
{
    if (sampling->n_rows > PST_MAX_PLAN_ROWS || sampling->shrink > PST_SAMPLER_SHRINK_MAX)
        return -EBADMSG;
    ret->kind = PST_LINK_SAMPLING;
    ret->generation = sampling->generation;
    ret->first = sampling->first;
    ret->last = sampling->last;
    ret->enabled = sampling->enabled;
    ret->shrink = sampling->shrink;
    ret->row_count = sampling->n_rows;
    for (size_t i = 0; i < sampling->n_rows; i++)
        if (decode_row(sampling->rows[i], &ret->rows[i]) < 0)
            return -EBADMSG;
    return 0;
}

static int decode_discovery(const Pst__Link__Discovery *discovery, struct pst_link_plan *ret)
{
    uint64_t longest = PST_MAX_WINDOW_SECONDS * PST_NS_PER_S;

    if (discovery->interval_ns < 100 * PST_NS_PER_MS || discovery->interval_ns > longest ||
        discovery->min_age_ns > longest)
        return -EBADMSG;
    ret->kind = PST_LINK_DISCOVERY;
    ret->interval_ns = discovery->interval_ns;
    ret->min_age_ns = discovery->min_age_ns;
    ret->resend = discovery->resend;
    return 0;
}

int pst_link_plan_decode(const void *data, size_t len, struct pst_link_plan *ret)
{
    ProtobufCMessage *base = pst_link_unpack(&pst__link__plan__descriptor, data, len);
    const Pst__Link__Plan *message = (const Pst__Link__Plan *)base;
    int status = -EBADMSG;

    ret->row_count = 0;
    if (message && message->version == PST_LINK_VERSION) {
        if (message->sampling && !message->discovery)
            status = decode_sampling(message->sampling, ret);
        else if (message->discovery && !message->sampling)
            status = decode_discovery(message->discovery, ret);
    }
    pst_link_release(base);
    return status;
}
