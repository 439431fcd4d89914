/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Our directory on bpffs, and what outlives us there: tables, counters mapped into this process among
 * them, and links. Objects are found by their path alone, never by an id, which would ask for CAP_SYS_ADMIN.
 * A table whose shape is not the wanted one is made anew. Everywhere below, a directory of NULL means that
 * nothing is pinned.
 */

#include "util/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest name of a pin of ours, and its NUL. bpffs has no names with dots. */
#define PIN_NAME_SIZE 96

/* A program's tag, as hexadecimal digits: the kernel's digest of its instructions (bpf_prog_info.tag). */
#define PIN_TAG_SIZE 17

/* For names that end with the number of a layout. */
#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

struct bpf_program;

typedef struct TableShape {
        const char *name; /* of the map, and of its pin; changes where the meaning of a row does */
        uint32_t type;    /* BPF_MAP_TYPE_ARRAY is mapped, any other is not */
        uint32_t key_bytes, row_bytes;
        uint32_t rows;
        bool unmapped; /* an array's rows are mapped in part, by table_map() or table_reach() */
        bool is_list;  /* a row says itself what it is of, and may stand anywhere; all zeroes: it is free */
        bool is_index; /* what is in it is known from elsewhere, too: a hash of another size has all of it */
} TableShape;

typedef struct Table {
        const char *name; /* the shape's */
        int fd;
        void *rows;         /* mapped; NULL where the shape is not an array's, or nothing is yet */
        size_t size_bytes;  /* of what is mapped */
        size_t whole_bytes; /* of an array, in whole pages */
        bool adopted;       /* it was there, with all that it had counted, and programs may count in it */
        bool carried;       /* it is new, and has what a smaller one had counted */
} Table;

#define TABLE_NULL \
        { NULL, -EBADF, NULL, 0, 0, false, false }

/* `path` with its parents there; makes it and `name` below it, 0700. -EMEDIUMTYPE: not on bpffs. */
int pin_dir_make(const char *path, const char *name, char **ret);
/* Removes every pin in it, then the directory. */
int pin_dir_remove(const char *dir);

/* A pin that somebody took away, and whether it could be made again: 0, or a negative errno. */
typedef void (*PinTell)(const char *name, int r, void *userdata);
/* Pins what `fd` is again, where that pin is gone, and says so. */
void pin_keep(const char *dir, const char *name, int fd, PinTell tell, void *userdata);
void table_keep_pin(const char *dir, const Table *table, PinTell tell, void *userdata);
/* Makes the directory, and the one that it is in, where somebody took them away. */
void pin_dir_keep(const char *dir);

/* What was pinned of the table in another layout (its name but for the number at its end) or shape goes. */
int table_open(const char *dir, const TableShape *shape, Table *ret);
/*
 * From here on a table of as many rows as there are slots, or some times that, is [n][slots]: where it was
 * pinned with fewer slots, and the same n, the new one has its rows, each in its slot's place; a list of
 * another length has those that were taken, where they find room. What programs add to the old one until they
 * are others' is in none. 0: each other shape is another table.
 */
void pin_tables_begin(uint32_t slots);
/* Names of those that went since pin_tables_begin(), separated by spaces; "": none. What they had counted
 * begins anew. */
const char *pin_tables_gone(void);
/* Whether some were carried over. */
bool pin_tables_carried(void);
void table_deinit(Table *table);
/* `n` bytes of an unmapped array from `begin` on; NULL and errno. What is mapped counts as resident, touched
 * or not. */
void *table_map(const Table *table, size_t begin, size_t n);
void table_unmap(void *rows, size_t n);
/* Zeroes a row of an array, of which nothing need be mapped for it. */
int table_clear_row(const Table *table, uint32_t row, uint32_t row_bytes);
/* Maps at least the first `n` bytes of an unmapped array as its rows, which may move. No more is mapped than
 * was asked for, by and large: rows that are taken from the first on need not be resident before. */
int table_reach(Table *table, size_t n);
/* Nothing of an unmapped array is mapped any more. */
void table_rest(Table *table);

/* The pinned object's new file descriptor; -ENOENT. */
int pin_open(const char *dir, const char *name);
/* Replaces what had the name. 0 with a directory of NULL. */
int pin_put(const char *dir, const char *name, int fd);
bool pin_same_object(int a_fd, int b_fd);
/* Whether the name is this very object's. True with a directory of NULL. */
bool pin_is(const char *dir, const char *name, int fd);
int pin_rename(const char *dir, const char *name, const char *new_name);
void pin_remove(const char *dir, const char *name);
/*
 * To be called for each program that is let go of. The kernel frees one a while later, in a queue that must
 * not fill up: Linux 6.18 was seen to stand still for good with a thousand and more in it. So every 64 of
 * them there is a pause of 50 ms, longer than the kernel takes for these.
 */
void pin_pace(void);

/* Calls back with the name of every pin that begins with `prefix`. */
void pin_list(const char *dir, const char *prefix, void (*found)(const char *name, void *userdata),
                void *userdata);

/* Removes every pin that begins with `prefix`. */
void pin_remove_all(const char *dir, const char *prefix);

int pin_program_tag(int program_fd, char ret[static PIN_TAG_SIZE]);
/* Makes it that of the program with this table: the same instructions over another one are another program,
 * whose table may be ours no more. */
int pin_tag_with_table(char tag[static PIN_TAG_SIZE], const Table *table);
/* A descriptor of the program for when its skeleton is gone: that holds all that it was loaded from, too. */
int pin_keep_program(const struct bpf_program *program);

/* From here on, what libbpf would print is kept; why something failed with `r`, and its last line, are for
 * the words of a feature, until this is asked again. */
void pin_words_begin(void);
const char *pin_words_why(int r);
