/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Rows of the durable state and their sums. Each row carries a checksum over all that it is; the digest says,
 * kind by kind, how many rows there are and what their sums come to, so that one that vanished, or came back
 * from an older page, is noticed. A change of the digest costs the same however many rows it covers.
 */

#include "util/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

#define STATE_VERSION 2
#define ROW_SUM_SIZE 16
#define ROW_ID_SIZE 64 /* with its NUL, as of identifiers */
#define DIGEST_TEXT_SIZE 512

typedef enum RowKind {
        ROW_ALLOCATION,
        ROW_TENANT,
        ROW_RELEASED, /* the highest generation that was released of an allocation */
        ROW_TEXT,
        ROW_DIGEST, /* the digest of all others: one row, with no id */
        ROW_KIND_MAX,
        ROW_KIND_INVALID = -EINVAL,
} RowKind;

const char *row_kind_to_string(RowKind kind);
/* ROW_KIND_INVALID: none of them. */
RowKind row_kind_from_string(const char *s);

typedef struct Row {
        RowKind kind;
        const char *id;
        uint64_t change; /* the number of the change that wrote it: of two with one id the higher is newer */
        const char *body;
        uint8_t sum[ROW_SUM_SIZE];
} Row;

/* The checksum of kind, id, change and body: 16 bytes of libsodium's crypto_generichash (BLAKE2b). */
void row_sum(const Row *row, uint8_t ret[ROW_SUM_SIZE]);
bool row_is_whole(const Row *row);

typedef struct Digest {
        uint64_t change; /* the number of the last change that it covers; each transaction is one */
        struct {
                uint64_t n;
                uint8_t sum[ROW_SUM_SIZE]; /* of all rows' sums, by exclusive or */
        } kinds[ROW_DIGEST];
} Digest;

void digest_add(Digest *digest, RowKind kind, const uint8_t sum[ROW_SUM_SIZE]);
void digest_remove(Digest *digest, RowKind kind, const uint8_t sum[ROW_SUM_SIZE]);
/* The rows alone: not the change's number. */
bool digest_covers_same(const Digest *a, const Digest *b);

/* The digest's own row. `text` has DIGEST_TEXT_SIZE and becomes its body. */
void digest_to_row(const Digest *digest, char *text, Row *ret);
/* -EBADMSG: it is no digest, or not whole; -EPROTONOSUPPORT: of a later version, which it begins with. */
int digest_from_row(const Row *row, Digest *ret);

/* What of `expected` is not in `found`, in words, onto a string list; nothing where they cover the same. */
int digest_explain(const Digest *expected, const Digest *found, char ***lost);

/*
 * The mark: the digest once more, in a small file, written after each commit and not synced. It outlives the
 * process; after a power cut it may be older than the state, never newer. So a state that is older than its
 * mark has lost changes that were accepted.
 */
void digest_write_mark(const Digest *digest, int fd);
/* -EBADMSG: there is none, or it is damaged, and says nothing. */
int digest_read_mark(int fd, Digest *ret);
