/* Which source names a target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "labels/target_labels.h"

#define WORDS(text) ((struct pst_str){text, sizeof(text) - 1})

static struct pst_target_labels labels;

static void make(const struct pst_facts *facts, const struct pst_label_lookup *lookup)
{
    assert_int_equal(pst_target_labels_make(facts, lookup, &labels), 0);
}

static void label_is(const char *name, const char *value)
{
    struct pst_str found = pst_labels_get(labels.series, name);
    if (!pst_str_eq(found, pst_str(value)))
        fail_msg("%s: \"%.*s\", not \"%s\"", name, (int)found.len, found.ptr, value);
}

static void meta_is(const char *name, const char *value)
{
    struct pst_str found = pst_meta_get(labels.meta, name);
    if (!pst_str_eq(found, pst_str(value)))
        fail_msg("%s: \"%.*s\", not \"%s\"", name, (int)found.len, found.ptr, value);
}

static struct pst_facts program(void)
{
    return (struct pst_facts){.id = 1,
                              .pid = 42,
                              .exe = PST_STR("/usr/bin/python3.11"),
                              .comm = PST_STR("python3"),
                              .argv = WORDS("python3\0/srv/reports.py\0--password\0x\0"),
                              .container_id = PST_STR("0123"),
                              .runtime.hexversion = 0x030b02f0};
}

static void sources_are_asked_in_their_order(void **state)
{
    static const struct {
        struct pst_str env;
        const char *service, *why;
    } rows[] = {
        {WORDS("DD_SERVICE=d\0PYROSCOPE_APPLICATION_NAME=p{x=y}\0"
               "OTEL_RESOURCE_ATTRIBUTES=a=b,service.name=r%20s\0OTEL_SERVICE_NAME=o\0"),
         "o", "environment: OTEL_SERVICE_NAME"},
        {WORDS("DD_SERVICE=d\0PYROSCOPE_APPLICATION_NAME=p\0"
               "OTEL_RESOURCE_ATTRIBUTES=a=b, service.name = r%20s ,service.name=z\0"),
         "r s", "environment: OTEL_RESOURCE_ATTRIBUTES service.name"},
        {WORDS("DD_SERVICE=d\0PYROSCOPE_APPLICATION_NAME=p{x=y}\0OTEL_SERVICE_NAME= \0"), "p",
         "environment: PYROSCOPE_APPLICATION_NAME"},
        {WORDS("DD_SERVICE=d\0OTEL_RESOURCE_ATTRIBUTES=nonsense,=,service.name\0"), "d",
         "environment: DD_SERVICE"},
        {WORDS("HOSTNAME=h\0"), "reports", "command line: script"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pst_facts facts = program();
        facts.env = rows[i].env;
        make(&facts, NULL);
        label_is("service_name", rows[i].service);
        assert_non_null(strstr(labels.why.data, rows[i].why));
        pst_target_labels_done(&labels);
    }
}

static void the_executable_is_the_last_resort(void **state)
{
    struct pst_facts facts = program();
    facts.argv = WORDS("python3\0-c\0x\0");
    make(&facts, NULL);
    label_is("service_name", "python3.11");
    pst_target_labels_done(&labels);
    facts.exe = PST_STR("");
    make(&facts, NULL);
    label_is("service_name", "python3");
    pst_target_labels_done(&labels);
    facts.comm = PST_STR("");
    make(&facts, NULL);
    label_is("service_name", "python");
    pst_target_labels_done(&labels);
}

static void pods_name_themselves(void **state)
{
    struct pst_facts facts = program();
    facts.env = WORDS("HOSTNAME=web-1\0POD_NAMESPACE=prod\0NODE_NAME=n7\0"
                      "OTEL_RESOURCE_ATTRIBUTES=k8s.container.name=main,k8s.namespace.name=no\0");
    make(&facts, NULL);
    label_is("pod", ""); /* HOSTNAME is the node's in a pod on the host's network */
    label_is("namespace", "prod");
    label_is("node", "n7");
    label_is("container", "main");
    pst_target_labels_done(&labels);
    facts.cgroup = PST_STR("0::/kubepods.slice/x\n");
    make(&facts, NULL);
    label_is("pod", "");
    facts.env = WORDS("POD_NAME=web-1\0");
    pst_target_labels_done(&labels);
    make(&facts, NULL);
    label_is("pod", "web-1");
    pst_target_labels_done(&labels);
}

static void meta_labels_are_masked_and_valid(void **state)
{
    struct pst_facts facts = program();
    facts.env = WORDS("DD_TAGS=a:b\0");
    facts.cwd = PST_STR("/srv/\xff");
    make(&facts, NULL);
    meta_is("__meta_process_cmdline", "python3 /srv/reports.py --password ***");
    meta_is("__meta_process_pid", "42");
    meta_is("__meta_process_cwd", "/srv/\xef\xbf\xbd");
    meta_is("__meta_env_var_DD_TAGS", "a:b");
    meta_is("__meta_python_version", "3.11.2");
    meta_is("__meta_app_kind", "script");
    meta_is("__meta_app_id", "reports.py");
    meta_is("__container_id__", "0123");
    meta_is("__meta_absent", "");
    pst_target_labels_done(&labels);
}

static const struct pst_facts *family;

static const struct pst_facts *find(void *context, uint64_t id)
{
    return id < 3 ? &family[id] : NULL;
}

static void workers_of_libraries_are_named_by_their_parent(void **state)
{
    const struct pst_label_lookup lookup = {find, NULL, NULL};
    struct pst_facts three[3] = {program(), program(), program()};
    struct pst_str spawned = WORDS("python3\0-c\0from multiprocessing.spawn import spawn_main\0");
    three[1].argv = three[2].argv = spawned;
    three[0].parent_id = 99;
    three[2].parent_id = 1;
    family = three;
    make(&three[2], &lookup); /* its parent has no parent that is known */
    label_is("service_name", "python3.11");
    pst_target_labels_done(&labels);
    three[1].parent_id = 1; /* its own parent: no loop */
    make(&three[1], &lookup);
    label_is("service_name", "python3.11");
    pst_target_labels_done(&labels);
    three[1] = program();
    make(&three[2], &lookup);
    label_is("service_name", "reports");
    pst_target_labels_done(&labels);
    make(&three[2], NULL);
    label_is("service_name", "python3.11");
    pst_target_labels_done(&labels);
}

/* Its code names nothing, "python3.11" says nothing. */
static void code_behind_dash_c_is_named_by_its_parent(void **state)
{
    const struct pst_label_lookup lookup = {find, NULL, NULL};
    struct pst_facts two[3] = {program(), program(), program()};
    two[1].argv = WORDS("python3\0/usr/bin/pytest\0-n4\0");
    two[2].argv = WORDS("python3\0-u\0-c\0import sys;exec(eval(sys.stdin.readline()))\0");
    two[2].parent_id = 1;
    family = two;
    make(&two[2], &lookup);
    label_is("service_name", "pytest");
    pst_target_labels_done(&labels);
    two[2].parent_id = 0;
    make(&two[2], &lookup);
    label_is("service_name", "python3.11");
    pst_target_labels_done(&labels);
}

static void names_of_the_target_are_cut_and_made_valid(void **state)
{
    static char env[8192] = "OTEL_SERVICE_NAME=\xff\xfe";
    struct pst_facts facts = program();
    memset(env + 20, 'x', sizeof(env) - 21);
    facts.env = (struct pst_str){env, sizeof(env)};
    make(&facts, NULL);
    struct pst_str name = pst_labels_get(labels.series, "service_name");
    assert_true(name.len > 0 && name.len <= 2048);
    assert_int_equal(pst_utf8_valid_prefix(name), name.len);
    pst_target_labels_done(&labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_are_asked_in_their_order),
        cmocka_unit_test(the_executable_is_the_last_resort),
        cmocka_unit_test(pods_name_themselves),
        cmocka_unit_test(meta_labels_are_masked_and_valid),
        cmocka_unit_test(workers_of_libraries_are_named_by_their_parent),
        cmocka_unit_test(code_behind_dash_c_is_named_by_its_parent),
        cmocka_unit_test(names_of_the_target_are_cut_and_made_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
