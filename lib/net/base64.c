/* Base64 both ways. Decoding is strict about the alphabet and lenient about padding, as gRPC asks.
 */
#include <errno.h>

#include "auth.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int pst_base64_encode(struct pst_buf *out, const void *data, size_t len)
{
    const unsigned char *in = data;
    int r = pst_buf_reserve(out, (len + 2) / 3 * 4);
    for (size_t i = 0; r == 0 && i < len; i += 3) {
        unsigned word = (unsigned)in[i] << 16;
        if (i + 1 < len)
            word |= (unsigned)in[i + 1] << 8;
        if (i + 2 < len)
            word |= in[i + 2];
        char four[4] = {alphabet[word >> 18], alphabet[(word >> 12) & 63],
                        i + 1 < len ? alphabet[(word >> 6) & 63] : '=',
                        i + 2 < len ? alphabet[word & 63] : '='};
        r = pst_buf_append(out, four, 4);
    }
    return r;
}

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int pst_base64_decode(struct pst_buf *out, struct pst_str text)
{
    while (text.len > 0 && text.ptr[text.len - 1] == '=')
        text.len--;
    if (text.len % 4 == 1)
        return -EBADMSG;
    unsigned word = 0, bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = digit(text.ptr[i]);
        if (value < 0)
            return -EBADMSG;
        word = (word << 6 | (unsigned)value) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            char byte = (char)(word >> bits & 0xff);
            int r = pst_buf_append(out, &byte, 1);
            if (r < 0)
                return r;
        }
    }
    return 0;
}
