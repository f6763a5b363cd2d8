/* Whom the metadata threads ask: engines on sockets of the test's, one that knows nobody, one that
 * never answers, a kubelet that does. */
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "config/config.h"
#include "labels/metadata.h"

enum { CONTAINERS = 150 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool asked[CONTAINERS];

static void answer(int fd)
{
    static const char reply[] =
        "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    char request[2048] = "";
    unsigned number = CONTAINERS;
    ssize_t got = read(fd, request, sizeof(request) - 1);
    if (got > 0 && sscanf(request, "GET /containers/%u/json", &number) == 1 &&
        number < CONTAINERS) {
        pthread_mutex_lock(&lock);
        asked[number] = true;
        pthread_mutex_unlock(&lock);
    }
    (void)!write(fd, reply, sizeof(reply) - 1);
    (void)close(fd);
}

static void *serve(void *argument)
{
    int fd, listener = *(int *)argument;
    while ((fd = accept(listener, NULL, NULL)) >= 0)
        answer(fd);
    return NULL;
}

static unsigned count_asked(void)
{
    unsigned count = 0;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < CONTAINERS; i++)
        count += asked[i];
    pthread_mutex_unlock(&lock);
    return count;
}

static void containers_that_an_engine_does_not_know_keep_no_others_from_their_turn(void **state)
{
    char folder[] = "/tmp/pst-test-XXXXXX", setting[160];
    const char *const settings[] = {setting, "discovery.kubernetes.enabled=false"};
    char *const environment[] = {NULL};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct pst_config *config = NULL;
    struct pst_metadata *metadata = NULL;
    struct pst_error error = {0};
    pthread_t server;

    assert_non_null(mkdtemp(folder));
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/engine", folder);
    (void)snprintf(setting, sizeof(setting), "discovery.containers.docker=%s", address.sun_path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 64), 0);
    assert_int_equal(pthread_create(&server, NULL, serve, &listener), 0);
    assert_int_equal(pst_config_load(NULL, settings, 2, environment, &config, &error), 0);
    assert_int_equal(pst_metadata_new(config, &metadata), 0);
    for (unsigned i = 0; i < CONTAINERS; i++) {
        struct pst_engines found;
        char id[16];
        (void)snprintf(id, sizeof(id), "%u", i);
        struct pst_facts facts = {.container_id = pst_str(id)};
        assert_false(pst_metadata_get(metadata, &facts, &found));
        pst_engines_done(&found);
    }
    struct timespec moment = {.tv_nsec = 20000000};
    for (int turns = 0; turns < 1000 && count_asked() < CONTAINERS; turns++)
        (void)nanosleep(&moment, NULL);
    assert_int_equal(count_asked(), CONTAINERS);
    (void)pst_metadata_free(metadata, pst_clock_monotonic_ns() + 5 * PST_NS_PER_S);
    (void)shutdown(listener, SHUT_RDWR);
    (void)pthread_join(server, NULL);
    (void)close(listener);
    pst_config_unref(config);
    (void)unlink(address.sun_path);
    (void)rmdir(folder);
}

/* A kubelet with one pod, whose container is called "mine", from the second question on. */
static void *serve_pods(void *argument)
{
    static const char none[] = "{\"items\":[]}";
    static const char one[] =
        "{\"items\":[{\"metadata\":{\"name\":\"web\"},\"status\":{\"containerStatuses\":["
        "{\"name\":\"app\",\"containerID\":\"containerd://mine\"}]}}]}";
    char request[2048], reply[512];
    int fd, listener = *(int *)argument;

    for (const char *body = none; (fd = accept(listener, NULL, NULL)) >= 0; body = one) {
        (void)!read(fd, request, sizeof(request));
        int len = snprintf(reply, sizeof(reply),
                           "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                           strlen(body), body);
        (void)!write(fd, reply, (size_t)len);
        (void)close(fd);
    }
    return NULL;
}

static void sockets_that_never_answer_delay_no_labels_from_kubernetes(void **state)
{
    char folder[] = "/tmp/pst-test-XXXXXX", docker[160], cri[160], kubelet[160];
    const char *const settings[] = {docker, cri, kubelet, "discovery.kubernetes.enabled=true",
                                    "discovery.kubernetes.source=kubelet"};
    char *const environment[] = {NULL};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(any);
    struct pst_config *config = NULL;
    struct pst_metadata *metadata = NULL;
    struct pst_error error = {0};
    struct pst_engines found = {0};
    pthread_t server;

    assert_non_null(mkdtemp(folder));
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/engine", folder);
    int stuck = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* accepts, and that is all */
    assert_int_equal(bind(stuck, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(stuck, 64), 0);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&any, sizeof(any)), 0);
    assert_int_equal(listen(listener, 64), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&any, &len), 0);
    assert_int_equal(pthread_create(&server, NULL, serve_pods, &listener), 0);
    (void)snprintf(docker, sizeof(docker), "discovery.containers.docker=%s", address.sun_path);
    (void)snprintf(cri, sizeof(cri), "discovery.containers.cri=%s", address.sun_path);
    (void)snprintf(kubelet, sizeof(kubelet), "discovery.kubernetes.kubelet.url=http://127.0.0.1:%d",
                   ntohs(any.sin_port));
    assert_int_equal(pst_config_load(NULL, settings, 5, environment, &config, &error), 0);
    assert_int_equal(pst_metadata_new(config, &metadata), 0);
    struct pst_facts first = {.container_id = PST_STR("another")},
                     mine = {.container_id = PST_STR("mine"), .cgroup = PST_STR("0::/kubepods/x")};
    (void)pst_metadata_get(metadata, &first, &found);
    pst_engines_done(&found);
    struct timespec moment = {.tv_nsec = 300000000};
    (void)nanosleep(&moment, NULL); /* both sockets have been asked by now, or soon are */
    uint64_t begun_ns = pst_clock_monotonic_ns();
    moment.tv_nsec = 10000000;
    while (pst_metadata_get(metadata, &mine, &found) &&
           pst_clock_monotonic_ns() - begun_ns < 30 * PST_NS_PER_S) {
        pst_engines_done(&found);
        (void)nanosleep(&moment, NULL);
    }
    assert_non_null(found.of[PST_ENGINE_KUBERNETES]);
    assert_true(pst_clock_monotonic_ns() - begun_ns < 3 * PST_NS_PER_S);
    pst_engines_done(&found);
    begun_ns = pst_clock_monotonic_ns();
    (void)pst_metadata_free(metadata, begun_ns + 5 * PST_NS_PER_S);
    assert_true(pst_clock_monotonic_ns() - begun_ns < 3 * PST_NS_PER_S);
    (void)shutdown(listener, SHUT_RDWR);
    (void)pthread_join(server, NULL);
    (void)close(listener);
    (void)close(stuck);
    pst_config_unref(config);
    (void)unlink(address.sun_path);
    (void)rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(containers_that_an_engine_does_not_know_keep_no_others_from_their_turn),
        cmocka_unit_test(sockets_that_never_answer_delay_no_labels_from_kubernetes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
