// A plugin of qemu that counts the instructions of the guest and prints "instructions N" when it ends. With profile=on
// also, for each block of code that ran, instructions, address and symbol. The interface is version 1 of qemu-plugin.h,
// declared here because Debian does not ship that header.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct block;
struct instruction;
enum { ADD_U64 };
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*callback)(plugin_id id, struct block *block));
void qemu_plugin_register_vcpu_tb_exec_inline(struct block *block, int operation, void *counter, uint64_t operand);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*callback)(plugin_id id, void *data), void *data);
size_t qemu_plugin_tb_n_insns(const struct block *block);
uint64_t qemu_plugin_tb_vaddr(const struct block *block);
struct instruction *qemu_plugin_tb_get_insn(const struct block *block, size_t index);
const char *qemu_plugin_insn_symbol(const struct instruction *instruction);

#define EXPORTED __attribute__((visibility("default")))
EXPORTED int qemu_plugin_version = 1;

typedef struct record {
    struct record *next;
    uint64_t address, count;
    const char *symbol;
} record;

static uint64_t total;
static record *records;
static bool profile;

// Guests are to run one thread: the additions are not atomic.
static void translated(plugin_id id, struct block *block) {
    (void)id;
    const size_t count = qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &total, count);
    record *r = profile ? calloc(1, sizeof *r) : NULL;
    if (!r) return;
    const char *symbol = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(block, 0));
    r->address = qemu_plugin_tb_vaddr(block);
    r->symbol = symbol ? symbol : "?";
    r->next = records;
    records = r;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &r->count, count);
}

static void ended(plugin_id id, void *data) {
    (void)id, (void)data;
    fprintf(stderr, "instructions %llu\n", (unsigned long long)total);
    for (const record *r = records; r; r = r->next) {
        if (!r->count) continue;
        fprintf(stderr, "%llu %llx %s\n", (unsigned long long)r->count, (unsigned long long)r->address, r->symbol);
    }
}

EXPORTED int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) profile |= !strcmp(argv[i], "profile=on");
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
