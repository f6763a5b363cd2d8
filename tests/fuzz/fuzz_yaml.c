/* fuzz: config base */
/* Any bytes as a configuration file: an answer within bounds. What was accepted is shown, and what
 * is shown must be accepted again and look the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *const environment[] = {(char *)"HOME=/home/someone", (char *)"NAME=value",
                                    (char *)"LONG=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                    NULL};

static struct pst_config *load(const void *data, size_t size)
{
    struct pst_config *config = NULL;
    struct pst_error error;
    char path[64];
    int fd = memfd_create("config", MFD_CLOEXEC);

    if (fd < 0 || pst_io_write_all(fd, data, size) < 0)
        abort();
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    memset(&error, 0, sizeof error);
    if (pst_config_load(path, NULL, 0, environment, &config, &error) < 0) {
        if (error.code == 0 || error.text[0] == 0 || config)
            abort();
        config = NULL;
    }
    (void)close(fd);
    return config;
}

/* The lines without their comments, which name places. */
static void show(const struct pst_config *config, struct pst_buf *out)
{
    size_t used = 0;
    bool comment = false;

    if (pst_config_show(config, out) < 0)
        abort();
    for (size_t i = 0; i < out->len; i++) {
        if (out->data[i] == '#' && i > 0 && out->data[i - 1] == ' ')
            comment = true;
        if (out->data[i] == '\n')
            comment = false;
        if (!comment && !(out->data[i] == ' '))
            out->data[used++] = out->data[i];
    }
    out->len = used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pst_config *config = load(data, size), *again;
    struct pst_buf first, second;

    if (!config)
        return 0;
    pst_buf_init(&first, 64 << 20);
    pst_buf_init(&second, 64 << 20);
    if (pst_config_show(config, &first) < 0)
        abort();
    again = load(first.data, first.len);
    if (again) {
        pst_buf_reset(&first);
        show(config, &first);
        show(again, &second);
        if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
            abort();
    } else if (first.len <= (1 << 20)) {
        abort();
    }
    pst_buf_done(&first);
    pst_buf_done(&second);
    (void)pst_config_unref(again);
    (void)pst_config_unref(config);
    return 0;
}
