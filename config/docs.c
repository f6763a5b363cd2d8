/* docs/configuration.md: the tables as Markdown, with what holds for all settings around them. */
#include <ctype.h>
#include <stdio.h>

#include "internal.h"

static const char introduction[] =
    "# Configuration\n\n"
    "This page is printed by the program from the table that it reads its configuration with.\n\n"
    "The configuration is one YAML file (`--config FILE`); every key has a default, so that no "
    "file "
    "is needed.\nEvery setting is also an environment variable: `PYSTROBE_` and its path in "
    "capitals, with `_` for the dots.\n`--set PATH=VALUE` sets one from the command line. The "
    "order "
    "is flag, environment, file, default.\nLists of blocks and maps are written as YAML in "
    "variables and flags: `PYSTROBE_LABELS='{team: search}'`.\n"
    "A variable that is set to nothing counts as not set, a key with nothing behind it keeps its "
    "default.\n\n"
    "`pystrobe config check FILE` validates a file: each error names file, line and column, "
    "unknown "
    "and duplicate\nkeys are errors. `pystrobe config show FILE` prints what would be in force, "
    "with "
    "secrets masked and the\nplace that each value came from. `pystrobe config schema` prints a "
    "JSON "
    "Schema for editors.\n\n"
    "## Notations\n\n"
    "- duration: `15s`, `1m30s`, `500ms`, `2h`, `7d`; a bare number counts seconds\n"
    "- size: `64MiB`, `512MB`, `1Gi`; a bare number counts bytes\n"
    "- percentage: `2%`; the sign is needed\n"
    "- `${env:NAME}` in a value becomes the environment variable, `${file:PATH}` the content of "
    "the "
    "file without its\n  last line breaks; either one missing is an error. `$${` is a plain `${`.\n"
    "- `auto` as a directory is `/var/lib/pystrobe` as root, else `$XDG_STATE_HOME/pystrobe` "
    "(`~/.local/state/pystrobe`)\n\n"
    "Anchors and aliases work; merge keys (`<<`), tags and a second document are refused.\n\n"
    "## Reload\n\n"
    "SIGHUP, `POST /-/reload` and a change of the file or of a file that it names (also "
    "Kubernetes' "
    "swap of a mounted\nConfigMap or Secret) load the configuration again. It is taken whole, or "
    "the "
    "old one stays in force.\nOnly `server.listen`, `server.bearer_token_file`, "
    "`store.directory` and `spool.directory` wait for the next start; the agent says so.\n\n";

static const char standard_variables[] =
    "## Without an exporters section\n\n"
    "An exporter is made for each of these variables that is set; `exporters: []` in the file "
    "means "
    "none.\n\n"
    "| variable | exporter |\n|---|---|\n"
    "| `PYROSCOPE_SERVER_ADDRESS` | pyroscope; also `PYROSCOPE_AUTH_TOKEN`, "
    "`PYROSCOPE_BASIC_AUTH_USER`, `PYROSCOPE_BASIC_AUTH_PASSWORD`, `PYROSCOPE_TENANT_ID` |\n"
    "| `PARCA_ADDRESS` | parca; also `PARCA_BEARER_TOKEN` |\n"
    "| `OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT` | otlp |\n"
    "| `OTEL_EXPORTER_OTLP_ENDPOINT` | otlp, only with `OTEL_PROFILES_EXPORTER=otlp` |\n\n"
    "For otlp the variables `OTEL_EXPORTER_OTLP_[PROFILES_]PROTOCOL`, `_HEADERS`, `_TIMEOUT` (in "
    "milliseconds),\n`_COMPRESSION`, `_CERTIFICATE`, `_CLIENT_CERTIFICATE`, `_CLIENT_KEY` and "
    "`_INSECURE` count too; without a protocol it\nis gRPC for port 4317 and HTTP otherwise. "
    "`OTEL_RESOURCE_ATTRIBUTES` are added to what it sends, except\n`service.name`; where one "
    "cannot "
    "be read a warning says so and none is. `HTTPS_PROXY`, `http_proxy` and `NO_PROXY` hold\nfor "
    "every exporter that names no proxy of its own, unless its address is this machine's "
    "loopback.\n\n";

/* '|' ends a cell. */
static int put_cell(struct pst_buf *out, const char *text)
{
    int rc = 0;
    for (; *text && rc == 0; text++)
        rc = *text == '|' ? pst_buf_puts(out, "\\|") : pst_buf_append(out, text, 1);
    return rc;
}

static const char *type_text(const struct pst_setting *row)
{
    switch (row->type) {
    case PST_SETTING_BOOL:
        return "true or false";
    case PST_SETTING_UNSIGNED:
    case PST_SETTING_NUMBER:
        return "whole number";
    case PST_SETTING_FLOAT:
        return "number";
    case PST_SETTING_DURATION:
        return "duration";
    case PST_SETTING_SIZE:
        return "size";
    case PST_SETTING_PERCENT:
        return "percentage";
    case PST_SETTING_SECRET:
        return "text, never shown";
    case PST_SETTING_DIRECTORY:
        return "path or auto";
    case PST_SETTING_CHOICES:
    case PST_SETTING_STRINGS:
        return "list";
    case PST_SETTING_MAP:
        return "map";
    case PST_SETTING_HEADERS:
        return "map, values never shown";
    case PST_SETTING_RULES:
        return "list of rules";
    case PST_SETTING_EXPORTERS:
        return "list of exporters";
    default:
        return "text";
    }
}

/* What is allowed: choices, or type and range. */
static int put_allowed(struct pst_buf *out, const struct pst_setting *row)
{
    const char *dots = strstr(row->range, "..");
    int rc;

    if (row->choices[0]) {
        rc = row->type == PST_SETTING_CHOICES ? pst_buf_puts(out, "list of ") : 0;
        for (const char *at = row->choices; *at && rc == 0; at++)
            rc = *at == '|' ? pst_buf_puts(out, ", ") : pst_buf_append(out, at, 1);
        return rc;
    }
    rc = put_cell(out, type_text(row));
    if (rc == 0 && dots)
        rc = pst_buf_printf(out, ", %.*s to %s", (int)(dots - row->range), row->range, dots + 2);
    return rc;
}

static int put_row(struct pst_buf *out, const struct pst_setting *row, bool types)
{
    struct pst_str rest = pst_str(row->path), name;
    const char *separator = "";
    int rc = pst_buf_puts(out, "| ");

    while (rc == 0 && pst_str_next(&rest, '|', &name)) {
        rc = pst_buf_printf(out, "%s`%.*s`", separator, (int)name.len, name.ptr);
        separator = ", ";
    }
    rc = rc ? rc : pst_buf_puts(out, " | ");
    rc = rc ? rc : put_allowed(out, row);
    rc = rc ? rc : pst_buf_printf(out, row->fallback[0] ? " | `%s` | " : " | %s | ", row->fallback);
    if (rc == 0 && types)
        rc = row->exporters == PST_TYPE_FILE        ? pst_buf_puts(out, "file | ")
             : row->exporters == PST_TYPE_OTLP      ? pst_buf_puts(out, "otlp | ")
             : row->exporters == PST_TYPE_PYROSCOPE ? pst_buf_puts(out, "pyroscope | ")
             : row->exporters & PST_TYPE_FILE       ? pst_buf_puts(out, "all | ")
                                                    : pst_buf_puts(out, "network | ");
    rc = rc ? rc : put_cell(out, row->help);
    if (rc == 0 && (row->flags & PST_SETTING_LATER))
        rc = pst_buf_puts(out, " *(accepted, no effect yet)*");
    return rc ? rc : pst_buf_puts(out, " |\n");
}

static int put_settings(struct pst_buf *out)
{
    struct pst_str section = {NULL, 0};
    int rc = 0;

    for (const struct pst_setting *row = pst_settings; row->path && rc == 0; row++) {
        struct pst_str name = pst_setting_name(row);
        struct pst_str group = {name.ptr, pst_str_find(name, '.')};
        if (!section.ptr || !pst_str_eq(section, group)) {
            rc = pst_buf_printf(out,
                                "%s### %.*s\n\n| setting | value | default | meaning |\n"
                                "|---|---|---|---|\n",
                                section.ptr ? "\n" : "", (int)group.len, group.ptr);
            section = group;
        }
        rc = rc ? rc : put_row(out, row, false);
    }
    return rc ? rc : pst_buf_puts(out, "\n");
}

int pst_config_docs(struct pst_buf *out)
{
    int rc = pst_buf_puts(out, introduction);

    rc = rc ? rc : pst_buf_puts(out, "## Settings\n\n");
    rc = rc ? rc : put_settings(out);
    rc =
        rc ? rc
           : pst_buf_puts(out, "## Entries of exporters\n\nThe network types are pyroscope, parca "
                               "and otlp. At most one of basic_auth, bearer_token,\nauthorization "
                               "and oauth2 is allowed. Files with secrets are read again when they "
                               "change.\n\n| key | value | default | for | meaning |\n"
                               "|---|---|---|---|---|\n");
    for (const struct pst_setting *row = pst_exporter_settings; row->path && rc == 0; row++)
        rc = put_row(out, row, true);
    rc = rc ? rc : pst_buf_puts(out, "\n");
    rc = rc ? rc : pst_buf_puts(out, standard_variables);
    rc =
        rc ? rc
           : pst_buf_puts(out, "## Rules of discovery.select and discovery.relabel\n\nPrometheus' "
                               "relabel_config, with its actions and defaults; regular expressions "
                               "are RE2's. `select` runs first and knows keep and drop. Rules see "
                               "the `__meta_*` labels and those that the sources decided "
                               "(`service_name`, `namespace`, `pod`, `container`, `node`); what "
                               "begins with `__` is not sent. `__profile_hz__` sets the rate of "
                               "one process. `pystrobe ps --why PID` and `/debug/targets` tell "
                               "which rule decided.\n\n"
                               "| key | value | default | meaning |\n|---|---|---|---|\n");
    for (const struct pst_setting *row = pst_rule_settings; row->path && rc == 0; row++)
        rc = put_row(out, row, false);
    return rc;
}
