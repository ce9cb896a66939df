/* How long each Thumb instruction takes on a Cortex-M0+, M3 and M4, by its encoding, at zero wait states.

   Cycles: Cortex-M4 TRM (ARM DDI 0439), tables 3-1 "instruction set summary" and 3-2 "DSP instructions", section 3.3.2
   "Load/store timings", table 7-1 "FPU instruction set"; Cortex-M3 TRM (ARM DDI 0337), table 3-1; Cortex-M0+ TRM (ARM DDI
   0484), table 3-1, with the fast multiplier. Encodings: ARMv7-M
   Architecture Reference Manual (ARM DDI 0403), chapter A5 and A6.4. Where the tables give a range that depends on the
   operands, which a plugin does not see, the upper end stands here; docs/cycle-model.md lists those. */
#ifndef MQ_THUMB_H
#define MQ_THUMB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { MQ_CORTEX_M4, MQ_CORTEX_M3, MQ_CORTEX_M0PLUS, MQ_CORES } mq_core_t;

/* The tables' P, the refill of the pipeline by a taken branch (1 to 3 on an M3 or M4). */
static const uint8_t MQ_REFILL[MQ_CORES] = {2, 2, 1};

/* A jump goes where a register or memory says, and may be a return; a return is nothing else. */
typedef enum { MQ_NEXT, MQ_BRANCH, MQ_JUMP, MQ_CALL, MQ_RETURN } mq_flow_t;

enum {
    MQ_MEMORY = 1,      /* reads or writes data */
    MQ_PIPELINED = 2,   /* a single load: one cycle less directly behind another */
    MQ_CONDITIONAL = 4, /* a branch that tests */
    MQ_COUNTED = 8      /* transfers as many words as its low byte says */
};
#define MQ_LOAD (MQ_MEMORY | MQ_PIPELINED)

typedef struct {
    uint32_t mask, value; /* the row holds where (instruction & mask) == value; first halfword on top */
    uint8_t cycles[MQ_CORES];
    uint16_t list; /* bits of a register list: one cycle each */
    uint8_t flow, flags;
} mq_row_t;

typedef struct {
    uint16_t cycles; /* when it is executed; of a branch, when it is not taken */
    uint8_t flow, flags;
} mq_timing_t;

/* First match wins; what no row names takes one cycle. */
static const mq_row_t MQ_NARROW[] = {
    {0xff87, 0x4487, {1, 1, 1}, 0, MQ_JUMP, 0},                  /* ADD PC, Rm */
    {0xffff, 0x46f7, {1, 1, 1}, 0, MQ_RETURN, 0},                /* MOV PC, LR */
    {0xff87, 0x4687, {1, 1, 1}, 0, MQ_JUMP, 0},                  /* MOV PC, Rm */
    {0xffff, 0x4770, {1, 1, 1}, 0, MQ_RETURN, 0},                /* BX LR */
    {0xff87, 0x4700, {1, 1, 1}, 0, MQ_JUMP, 0},                  /* BX Rm */
    {0xff87, 0x4780, {1, 1, 1}, 0, MQ_CALL, 0},                  /* BLX Rm */
    {0xf800, 0x4800, {2, 2, 2}, 0, MQ_NEXT, MQ_LOAD},            /* LDR from the literal pool */
    {0xfe00, 0x5000, {1, 1, 2}, 0, MQ_NEXT, MQ_MEMORY},          /* STR Rt, [Rn, Rm] */
    {0xfe00, 0x5200, {1, 1, 2}, 0, MQ_NEXT, MQ_MEMORY},          /* STRH */
    {0xfe00, 0x5400, {1, 1, 2}, 0, MQ_NEXT, MQ_MEMORY},          /* STRB */
    {0xf000, 0x5000, {2, 2, 2}, 0, MQ_NEXT, MQ_LOAD},            /* LDR, LDRH, LDRB, LDRSB, LDRSH Rt, [Rn, Rm] */
    {0xe800, 0x6000, {1, 1, 2}, 0, MQ_NEXT, MQ_MEMORY},          /* STR, STRB Rt, [Rn, #imm] */
    {0xe800, 0x6800, {2, 2, 2}, 0, MQ_NEXT, MQ_LOAD},            /* LDR, LDRB */
    {0xe800, 0x8000, {1, 1, 2}, 0, MQ_NEXT, MQ_MEMORY},          /* STRH Rt, [Rn, #imm]; STR Rt, [SP, #imm] */
    {0xe800, 0x8800, {2, 2, 2}, 0, MQ_NEXT, MQ_LOAD},            /* LDRH; LDR from SP */
    {0xf500, 0xb100, {1, 1, 1}, 0, MQ_BRANCH, MQ_CONDITIONAL},   /* CBZ, CBNZ */
    {0xfe00, 0xb400, {1, 1, 1}, 0x1ff, MQ_NEXT, MQ_MEMORY},      /* PUSH */
    {0xff00, 0xbd00, {1, 1, 2}, 0x1ff, MQ_RETURN, MQ_MEMORY},    /* POP with PC */
    {0xff00, 0xbc00, {1, 1, 1}, 0xff, MQ_NEXT, MQ_MEMORY},       /* POP */
    {0xffe8, 0xb660, {2, 2, 1}, 0, MQ_NEXT, 0},                  /* CPSIE, CPSID: 1 or 2 */
    {0xf800, 0xc000, {1, 1, 1}, 0xff, MQ_NEXT, MQ_MEMORY},       /* STM */
    {0xf800, 0xc800, {1, 1, 1}, 0xff, MQ_NEXT, MQ_MEMORY},       /* LDM */
    {0xfe00, 0xde00, {1, 1, 1}, 0, MQ_NEXT, 0},                  /* UDF, SVC */
    {0xf000, 0xd000, {1, 1, 1}, 0, MQ_BRANCH, MQ_CONDITIONAL},   /* B<cc> */
    {0xf800, 0xe000, {1, 1, 1}, 0, MQ_BRANCH, 0},                /* B */
};

static const mq_row_t MQ_WIDE[] = {
    {0xfe508000, 0xe8108000, {1, 1, 1}, 0xffff, MQ_RETURN, MQ_MEMORY},  /* LDM, POP with PC */
    {0xfe500000, 0xe8100000, {1, 1, 1}, 0xffff, MQ_NEXT, MQ_MEMORY},    /* LDM */
    {0xfe500000, 0xe8000000, {1, 1, 1}, 0xffff, MQ_NEXT, MQ_MEMORY},    /* STM, PUSH */
    {0xfff0ffe0, 0xe8d0f000, {2, 2, 2}, 0, MQ_JUMP, MQ_MEMORY},         /* TBB, TBH */
    {0xffe00000, 0xe8400000, {2, 2, 2}, 0, MQ_NEXT, MQ_LOAD},           /* LDREX, STREX: pipelined as LDR */
    {0xffe000e0, 0xe8c00040, {2, 2, 2}, 0, MQ_NEXT, MQ_LOAD},           /* LDREXB, LDREXH, STREXB, STREXH */
    {0xfe400000, 0xe8400000, {3, 3, 3}, 0, MQ_NEXT, MQ_MEMORY},         /* LDRD, STRD */
    {0xf800d000, 0xf000d000, {1, 1, 2}, 0, MQ_CALL, 0},                 /* BL */
    {0xf800d000, 0xf0009000, {1, 1, 1}, 0, MQ_BRANCH, 0},               /* B.W */
    {0xfff0d000, 0xf3808000, {2, 2, 3}, 0, MQ_NEXT, 0},                 /* MSR: 1 or 2 */
    {0xfff0d000, 0xf3e08000, {2, 2, 3}, 0, MQ_NEXT, 0},                 /* MRS: 1 or 2 */
    {0xfffffff0, 0xf3bf8f60, {3, 3, 3}, 0, MQ_NEXT, 0},                 /* ISB: 1 + B, B = P */
    {0xfb80d000, 0xf3808000, {1, 1, 3}, 0, MQ_NEXT, 0},                 /* hints, DMB, DSB, CLREX */
    {0xf800d000, 0xf0008000, {1, 1, 1}, 0, MQ_BRANCH, MQ_CONDITIONAL},  /* B<cc>.W */
    {0xff100000, 0xf8000000, {1, 1, 1}, 0, MQ_NEXT, MQ_MEMORY},         /* STR, STRH, STRB */
    {0xff7ff000, 0xf85df000, {2, 2, 2}, 0, MQ_RETURN, MQ_MEMORY},       /* LDR PC, [SP] */
    {0xff70f000, 0xf850f000, {2, 2, 2}, 0, MQ_JUMP, MQ_MEMORY},         /* LDR PC */
    {0xfe50f000, 0xf810f000, {1, 1, 1}, 0, MQ_NEXT, 0},                 /* PLD, PLI */
    {0xfe100000, 0xf8100000, {2, 2, 2}, 0, MQ_NEXT, MQ_LOAD},           /* LDR, LDRH, LDRB, LDRSH, LDRSB and T forms */
    {0xfff0f0f0, 0xfb00f000, {1, 1, 1}, 0, MQ_NEXT, 0},                 /* MUL */
    {0xfff000e0, 0xfb000000, {1, 2, 2}, 0, MQ_NEXT, 0},                 /* MLA, MLS */
    {0xffd000f0, 0xfb800000, {1, 5, 5}, 0, MQ_NEXT, 0},                 /* SMULL, UMULL: M3 3 to 5 */
    {0xffd000f0, 0xfbc00000, {1, 7, 7}, 0, MQ_NEXT, 0},                 /* SMLAL, UMLAL: M3 4 to 7 */
    {0xffd000f0, 0xfb9000f0, {12, 12, 12}, 0, MQ_NEXT, 0},               /* SDIV, UDIV: 2 to 12 */
    {0xffe00e00, 0xec400a00, {2, 2, 2}, 0, MQ_NEXT, 0},                 /* VMOV of two core registers */
    {0xff200f00, 0xed000a00, {2, 2, 2}, 0, MQ_NEXT, MQ_MEMORY},         /* VLDR, VSTR of 32 bits */
    {0xff200f00, 0xed000b00, {3, 3, 3}, 0, MQ_NEXT, MQ_MEMORY},         /* VLDR, VSTR of 64 bits */
    {0xfe000e00, 0xec000a00, {1, 1, 1}, 0, MQ_NEXT, MQ_MEMORY | MQ_COUNTED}, /* VLDM, VSTM, VPUSH, VPOP */
    {0xffb00e50, 0xee800a00, {14, 14, 14}, 0, MQ_NEXT, 0},               /* VDIV */
    {0xffbf0ed0, 0xeeb10ac0, {14, 14, 14}, 0, MQ_NEXT, 0},               /* VSQRT */
    {0xffa00e10, 0xee000a00, {3, 3, 3}, 0, MQ_NEXT, 0},                 /* VMLA, VMLS, VNMLA, VNMLS */
    {0xffb00e10, 0xee900a00, {3, 3, 3}, 0, MQ_NEXT, 0},                 /* VFNMA, VFNMS */
    {0xffb00e10, 0xeea00a00, {3, 3, 3}, 0, MQ_NEXT, 0},                 /* VFMA, VFMS */
};

static mq_timing_t mq_timing_of_row(const mq_row_t *row, uint32_t insn, mq_core_t core)
{
    int listed = __builtin_popcount(insn & row->list);
    int counted = row->flags & MQ_COUNTED ? (int)(insn & 0xff) : 0;
    uint8_t flags = core == MQ_CORTEX_M0PLUS ? row->flags & (uint8_t)~MQ_PIPELINED : row->flags;
    return (mq_timing_t){(uint16_t)(row->cycles[core] + listed + counted), row->flow, flags};
}

static mq_timing_t mq_timing_in(const mq_row_t *rows, size_t count, uint32_t insn, mq_core_t core)
{
    for (size_t i = 0; i < count; i++) {
        if ((insn & rows[i].mask) == rows[i].value) {
            return mq_timing_of_row(&rows[i], insn, core);
        }
    }
    return (mq_timing_t){1, MQ_NEXT, 0};
}

/* Timing of an instruction: of 2 bytes with its halfword in `insn`, of 4 with the first halfword in the upper half. */
static mq_timing_t mq_timing(uint32_t insn, size_t bytes, mq_core_t core)
{
    if (bytes == 2) {
        return mq_timing_in(MQ_NARROW, sizeof MQ_NARROW / sizeof *MQ_NARROW, insn, core);
    }
    return mq_timing_in(MQ_WIDE, sizeof MQ_WIDE / sizeof *MQ_WIDE, insn, core);
}

/* How many instructions behind this one are conditional: 1 to 4 behind IT, else 0. */
static unsigned mq_it_length(uint32_t insn, size_t bytes)
{
    bool is_it = bytes == 2 && (insn & 0xff00) == 0xbf00 && (insn & 0xf) != 0;
    return is_it ? 4u - (unsigned)__builtin_ctz(insn & 0xf) : 0;
}

#endif
