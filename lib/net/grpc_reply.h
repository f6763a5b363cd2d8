/* Pure helpers for reading a gRPC answer: everything here is a server's word, bounded and checked.
 */
#ifndef PST_NET_GRPC_REPLY_H
#define PST_NET_GRPC_REPLY_H

#include "net/grpc.h"

/* The code that stands for an HTTP status when there is no grpc-status. */
int pst_grpc_code_from_http(int status);

/* Percent-decodes leniently, cuts at the first bad UTF-8 and at size - 1. */
void pst_grpc_message(struct pst_str text, char *ret, size_t size);

/* grpc-status-details-bin: a google.rpc.Status with a RetryInfo among its details. */
bool pst_grpc_retry_info(struct pst_str details_base64, uint64_t *ret_ns);

#endif
