/* Exporters from the variables that SDKs and peers already use, when no exporters section was
 * given: PYROSCOPE_SERVER_ADDRESS, PARCA_ADDRESS, OTEL_EXPORTER_OTLP_*. */
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "internal.h"

#define STANDARD_MAX 3

struct standard {
    struct pst_load *load;
    struct pst_config_exporter *exporter;
    unsigned mask;
};

static int start(struct standard *standard, const char *type, const char *variable)
{
    struct pst_load *load = standard->load;
    struct pst_config *config = &load->snapshot->config;

    if (!config->exporters) {
        config->exporters = pst_load_alloc(load, STANDARD_MAX * sizeof *config->exporters);
        if (!config->exporters)
            return pst_load_out_of_memory(load, (struct pst_place){variable, 0, 0, 0});
    }
    standard->exporter = &config->exporters[config->exporter_count++];
    standard->mask = pst_setting_exporter_type(pst_str(type));
    (void)snprintf(standard->exporter->where, sizeof standard->exporter->where, "%s", variable);
    standard->exporter->type = pst_load_copy(load, pst_str(type));
    if (!standard->exporter->type)
        return pst_load_out_of_memory(load, (struct pst_place){variable, 0, 0, 0});
    return 0;
}

/* One setting from the first of the variables that is set (second may be NULL). */
static int take(struct standard *standard, const char *path, const char *first, const char *second)
{
    const struct pst_setting *row = pst_setting_find(pst_exporter_settings, pst_str(path));
    const char *name = first, *value = pst_load_env(standard->load, first);

    if (!value && second) {
        name = second;
        value = pst_load_env(standard->load, second);
    }
    if (!value)
        return 0;
    return pst_apply_text(standard->load, row, standard->exporter,
                          (struct pst_place){name, 0, 0, PST_ORIGIN_ENVIRONMENT}, pst_str(value));
}

static int defaults(struct standard *standard)
{
    char *type = standard->exporter->type;
    int rc = pst_apply_defaults(standard->load, pst_exporter_settings, standard->mask,
                                standard->exporter);
    standard->exporter->type = type;
    return rc;
}

static int pyroscope(struct standard *standard)
{
    int rc = start(standard, "pyroscope", "PYROSCOPE_SERVER_ADDRESS");

    rc = rc ? rc : defaults(standard);
    rc = rc ? rc : take(standard, "url", "PYROSCOPE_SERVER_ADDRESS", NULL);
    rc = rc ? rc : take(standard, "bearer_token", "PYROSCOPE_AUTH_TOKEN", NULL);
    rc = rc ? rc
            : take(standard, "basic_auth.username", "PYROSCOPE_BASIC_AUTH_USER",
                   "PYROSCOPE_BASIC_AUTH_USERNAME");
    rc = rc ? rc : take(standard, "basic_auth.password", "PYROSCOPE_BASIC_AUTH_PASSWORD", NULL);
    return rc ? rc : take(standard, "tenant", "PYROSCOPE_TENANT_ID", NULL);
}

static int parca(struct standard *standard)
{
    int rc = start(standard, "parca", "PARCA_ADDRESS");

    rc = rc ? rc : defaults(standard);
    rc = rc ? rc : take(standard, "url", "PARCA_ADDRESS", NULL);
    return rc ? rc : take(standard, "bearer_token", "PARCA_BEARER_TOKEN", NULL);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Percent-decoded copy, as the specification of these variables asks for. */
static char *decode(struct pst_load *load, struct pst_str text)
{
    char *copy = pst_load_copy(load, text);
    size_t used = 0;

    for (size_t i = 0; copy && i < text.len; i++) {
        int high = -1, low = -1;
        if (text.ptr[i] == '%' && i + 2 < text.len) {
            high = hex_digit(text.ptr[i + 1]);
            low = hex_digit(text.ptr[i + 2]);
        }
        if (high >= 0 && low >= 0 && (high || low)) {
            copy[used++] = (char)(high * 16 + low);
            i += 2;
        } else {
            copy[used++] = text.ptr[i];
        }
    }
    if (copy)
        copy[used] = 0;
    return copy;
}

/* "a=b,c=d" to pairs; skip names what is left out. Control characters are refused, since the
 * pairs become headers. */
static int take_pairs(struct standard *standard, const char *variable, const char *skip, size_t max,
                      struct pst_config_pairs *ret)
{
    const char *value = pst_load_env(standard->load, variable);
    struct pst_place place = {variable, 0, 0, PST_ORIGIN_ENVIRONMENT};
    struct pst_str rest = pst_str(value ? value : ""), part;
    struct pst_config_pairs pairs = {NULL, 0};

    if (rest.len == 0)
        return 0;
    pairs.items = pst_load_alloc(standard->load, max * sizeof *pairs.items);
    if (!pairs.items)
        return pst_load_out_of_memory(standard->load, place);
    while (pst_str_next(&rest, ',', &part)) {
        size_t equals = pst_str_find(part, '=');
        struct pst_config_pair pair;
        if (pst_str_trim(part).len == 0)
            continue;
        if (equals == part.len || equals == 0)
            return pst_load_refuse(standard->load, place, "write NAME=VALUE,NAME=VALUE",
                                   "an entry without NAME=");
        pair.name = decode(standard->load, pst_str_trim((struct pst_str){part.ptr, equals}));
        pair.value =
            decode(standard->load,
                   pst_str_trim((struct pst_str){part.ptr + equals + 1, part.len - equals - 1}));
        if (!pair.name || !pair.value)
            return pst_load_out_of_memory(standard->load, place);
        for (const char *at = pair.value; *at; at++)
            if ((unsigned char)*at < 0x20)
                return pst_load_refuse(standard->load, place, NULL, "a control character");
        if (skip && strcmp(pair.name, skip) == 0)
            continue;
        if (pairs.count == max)
            return pst_load_refuse(standard->load, place, NULL, "more than %zu entries", max);
        pairs.items[pairs.count++] = pair;
    }
    *ret = pairs;
    return 0;
}

/* Milliseconds without a unit. */
static int take_timeout(struct standard *standard, const char *variable)
{
    const char *value = pst_load_env(standard->load, variable);
    uint64_t ms;

    if (!value)
        return 0;
    if (pst_str_u64(pst_str(value), 10, 300000, &ms) < 0 || ms == 0)
        return pst_load_refuse(standard->load,
                               (struct pst_place){variable, 0, 0, PST_ORIGIN_ENVIRONMENT},
                               "write milliseconds, 1 to 300000", "not a timeout");
    standard->exporter->timeout_ns = ms * PST_NS_PER_MS;
    return 0;
}

/* The specification's default is http/protobuf; an address with gRPC's port says otherwise. */
static int default_protocol(struct standard *standard)
{
    const struct pst_setting *row = pst_setting_find(pst_exporter_settings, PST_STR("protocol"));
    struct pst_str url = pst_str(standard->exporter->url);
    bool grpc = pst_str_ends(url, PST_STR(":4317")) || pst_str_ends(url, PST_STR(":4317/"));

    return pst_apply_text(standard->load, row, standard->exporter,
                          (struct pst_place){"default", 0, 0, PST_ORIGIN_DEFAULT},
                          grpc ? PST_STR("grpc") : PST_STR("http/protobuf"));
}

#define OTLP(what) "OTEL_EXPORTER_OTLP_PROFILES_" what, "OTEL_EXPORTER_OTLP_" what

/* They are for all programs of a container, and what is wrong with them is not the agent's: as the
 * specification asks, none is taken then. The agent's own service.name would override the service
 * of each profile. */
static int otlp_attributes(struct standard *standard)
{
    static const char variable[] = "OTEL_RESOURCE_ATTRIBUTES";
    struct pst_load *load = standard->load;
    struct pst_error *error = load->error, problem = {0};

    load->error = &problem;
    int rc = take_pairs(standard, variable, "service.name", PST_MAX_LABELS,
                        &standard->exporter->external_labels);
    load->error = error;
    return rc < 0 ? pst_load_warn(load, (struct pst_place){variable, 0, 0, 0},
                                  "%s: none of them is taken", problem.text)
                  : 0;
}

static int otlp_headers(struct standard *standard)
{
    const char *variable = pst_load_env(standard->load, "OTEL_EXPORTER_OTLP_PROFILES_HEADERS")
                               ? "OTEL_EXPORTER_OTLP_PROFILES_HEADERS"
                               : "OTEL_EXPORTER_OTLP_HEADERS";
    int rc = take_pairs(standard, variable, NULL, PST_MAX_LABELS, &standard->exporter->headers);

    return rc ? rc : otlp_attributes(standard);
}

static int otlp(struct standard *standard)
{
    bool own = pst_load_env(standard->load, "OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT") != NULL;
    const char *insecure = pst_load_env(standard->load, "OTEL_EXPORTER_OTLP_PROFILES_INSECURE");
    int rc = start(standard, "otlp",
                   own ? "OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT" : "OTEL_EXPORTER_OTLP_ENDPOINT");

    if (!insecure)
        insecure = pst_load_env(standard->load, "OTEL_EXPORTER_OTLP_INSECURE");
    rc = rc ? rc : defaults(standard);
    rc = rc ? rc : take(standard, "url", OTLP("ENDPOINT"));
    rc = rc ? rc : default_protocol(standard);
    rc = rc ? rc : take(standard, "protocol", OTLP("PROTOCOL"));
    rc = rc ? rc : take(standard, "compression", OTLP("COMPRESSION"));
    rc = rc ? rc : take(standard, "tls_config.ca_file", OTLP("CERTIFICATE"));
    rc = rc ? rc : take(standard, "tls_config.cert_file", OTLP("CLIENT_CERTIFICATE"));
    rc = rc ? rc : take(standard, "tls_config.key_file", OTLP("CLIENT_KEY"));
    rc = rc ? rc : take_timeout(standard, "OTEL_EXPORTER_OTLP_TIMEOUT");
    rc = rc ? rc : take_timeout(standard, "OTEL_EXPORTER_OTLP_PROFILES_TIMEOUT");
    if (rc == 0 && insecure && strcmp(insecure, "true") == 0 &&
        !strstr(standard->exporter->url, "://"))
        standard->exporter->tls.insecure = true;
    return rc ? rc : otlp_headers(standard);
}

static bool wants_otlp(const struct pst_load *load)
{
    const char *chosen = pst_load_env(load, "OTEL_PROFILES_EXPORTER");

    if (pst_load_env(load, "OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT"))
        return !chosen || strcmp(chosen, "none") != 0;
    return chosen && strcmp(chosen, "otlp") == 0 &&
           pst_load_env(load, "OTEL_EXPORTER_OTLP_ENDPOINT");
}

int pst_standard_exporters(struct pst_load *load)
{
    struct standard standard = {.load = load};
    int rc = 0;

    if (pst_load_env(load, "PYROSCOPE_SERVER_ADDRESS"))
        rc = pyroscope(&standard);
    if (rc == 0 && pst_load_env(load, "PARCA_ADDRESS"))
        rc = parca(&standard);
    if (rc == 0 && wants_otlp(load))
        rc = otlp(&standard);
    return rc;
}
