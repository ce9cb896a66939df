@ Cases for Cortex-M3 and Cortex-M4. See begin.S.

case nothing
    bx lr                       @ 3

@ ---- arithmetic ----

case data
    adds r4, r2, r3             @ 1
    eor.w r4, r2, r3, lsl #4    @ 1
    movw r4, #9                 @ 1
    movt r4, #9                 @ 1
    mvns r4, r2                 @ 1
    ubfx r4, r2, #1, #3         @ 1
    bfi r4, r2, #4, #4          @ 1
    clz r4, r2                  @ 1
    rbit r4, r2                 @ 1
    rev r4, r2                  @ 1
    sxtb r4, r2                 @ 1
    uxth.w r4, r2, ror #8       @ 1
    ssat r4, #8, r2             @ 1
    usat r4, #8, r2, asr #2     @ 1
    bx lr                       @ 3

case multiply
    muls r4, r2, r4             @ 1
    mul r4, r2, r3              @ 1
    mla r4, r2, r3, r3          @ 1 m3:2
    mls r4, r2, r3, r3          @ 1 m3:2
    smull r4, r5, r2, r3        @ 1 m3:5
    umull r4, r5, r2, r3        @ 1 m3:5
    smlal r4, r5, r2, r3        @ 1 m3:7
    umlal r4, r5, r2, r3        @ 1 m3:7
    bx lr                       @ 3

case divide
    sdiv r4, r2, r3             @ 12
    udiv r4, r2, r3             @ 12
    bx lr                       @ 3

@ ---- loads ----

case load_alone
    ldr r4, [r0]                @ 2 r
    nop                         @ 1
    ldrb r4, [r0]               @ 2 r
    bx lr                       @ 3

case load_behind_load
    ldr r4, [r0]                @ 2 r
    ldrh r5, [r0, r2]           @ 1 r
    ldrsb r6, [r0, r2]          @ 1 r
    ldr.w r7, [r0, #64]         @ 1 r
    ldr r4, [r0, #4]!           @ 1 r
    ldr r4, [r0], #-4           @ 1 r
    ldrsh.w r4, [r0, #2]        @ 1 r
    ldrb r4, [r0, r2, lsl #1]   @ 1 r
    ldrsb.w r4, [r0, #1]        @ 1 r
    ldrt r4, [r0, #4]           @ 1 r
    bx lr                       @ 3

case load_and_store
    ldr r4, [r0]                @ 2 r
    str r4, [r0, #4]            @ 1 w
    ldr r4, [r0]                @ 2 r
    bx lr                       @ 3

case load_literal
    ldr r4, =0x12345678         @ 2 f4
    ldr.w r5, =0x12345678       @ 1 f4
    bx lr                       @ 3

case load_flash
    ldr r4, [r1]                @ 2 f4
    ldrh r5, [r1, #4]           @ 1 f2
    ldrb r6, [r1, #8]           @ 1 f1
    ldr r6, [r0]                @ 1 r
    bx lr                       @ 3

case load_double
    ldrd r4, r5, [r1]           @ 3 f4 f4
    ldr r6, [r0]                @ 2 r
    ldrd r4, r5, [r0, #8]!      @ 3 r r
    ldrd r4, r5, [r0], #-8      @ 3 r r
    bx lr                       @ 3

case load_multiple
    ldmia r0!, {r4-r7}          @ 5 r r r r
    subs r0, #16                @ 1
    ldm.w r1, {r4, r5, r8}      @ 4 f4 f4 f4
    ldr r4, [r0]                @ 2 r
    bx lr                       @ 3

case load_exclusive
    ldrex r4, [r0]              @ 2 r
    strex r5, r4, [r0]          @ 1 r w
    clrex                       @ 1
    bx lr                       @ 3

case preload
    pld [r0]                    @ 1
    ldr r4, [r0]                @ 2 r
    pli [r0]                    @ 1
    bx lr                       @ 3

@ ---- stores ----

case store
    str r2, [r0]                @ 1 w
    strh r2, [r0, #4]           @ 1 w
    strb r2, [r0, r3]           @ 1 w
    str r2, [r0, #4]!           @ 1 w
    strb.w r2, [r0], #-4        @ 1 w
    strh r2, [r0, r2]           @ 1 w
    str r2, [r0, r2, lsl #1]    @ 1 w
    bx lr                       @ 3

case store_on_stack
    sub sp, #8                  @ 1
    str r2, [sp, #4]            @ 1 w
    ldr r4, [sp, #4]            @ 2 r
    add sp, #8                  @ 1
    bx lr                       @ 3

case store_double
    strd r2, r3, [r0]           @ 3 w w
    strd r2, r3, [r0, #8]       @ 3 w w
    bx lr                       @ 3

case store_multiple
    stmia r0!, {r2, r3}         @ 3 w w
    subs r0, #8                 @ 1
    add r0, #64                 @ 1
    stmdb.w r0, {r2, r3, r8}    @ 4 w w w
    bx lr                       @ 3

case push_pop
    push {r4-r6, lr}            @ 5 w w w w
    pop {r4-r6, pc}             @ 7 r r r r

case push_pop_wide
    push {r4, r8, lr}           @ 4 w w w
    pop {r4, r8, pc}            @ 6 r r r

case push_pop_one
    str lr, [sp, #-4]!          @ 1 w
    ldr pc, [sp], #4            @ 4 r

case pop_without_pc
    push {r4, r5}               @ 3 w w
    pop {r4, r5}                @ 3 r r
    bx lr                       @ 3

@ ---- branches ----

case branch
    b 1f                        @ 3
    nop
1:  b.w 2f                      @ 3
    nop
2:  bx lr                       @ 3

case branch_taken
    cmp r2, #2                  @ 1
    beq 1f                      @ 3
    nop
1:  beq.w 2f                    @ 3
    nop
2:  bx lr                       @ 3

case branch_not_taken
    cmp r2, #2                  @ 1
    bne 1f                      @ 1
    nop                         @ 1
1:  bne.w 2f                    @ 1
    nop                         @ 1
2:  bx lr                       @ 3

case compare_and_branch
    cbz r4, 1f                  @ 3
    nop
1:  cbnz r4, 2f                 @ 1
    nop                         @ 1
2:  bx lr                       @ 3

case loop
    movs r4, #5                 @ 1
1:  subs r4, #1                 @ 1 1 1 1 1
    bne 1b                      @ 3 3 3 3 1
    bx lr                       @ 3

case load_in_loop
    movs r4, #3                 @ 1
1:  ldr r5, [r0]                @ 2 2 2 r r r
    ldr r6, [r0]                @ 1 1 1 r r r
    subs r4, #1                 @ 1 1 1
    bne 1b                      @ 3 3 1
    bx lr                       @ 3

case load_behind_branch
    ldr r4, [r0]                @ 2 r
    b 1f                        @ 3
1:  ldr r4, [r0]                @ 2 r
    cmp r2, #3                  @ 1
    beq 2f                      @ 1
    ldr r4, [r0]                @ 2 r
2:  bx lr                       @ 3

case call
    push {r4, lr}               @ 3 w w
    bl leaf                     @ 3 3
    bl leaf                     @ 3 3
    pop {r4, pc}                @ 5 r r

case call_register
    mov r4, lr                  @ 1
    ldr r5, =leaf + 1           @ 2 f4
    blx r5                      @ 3 3
    mov lr, r4                  @ 1
    bx lr                       @ 3

case tail_call
    b leaf                      @ 3 3

case return_by_register
    mov r4, lr                  @ 1
    bx r4                       @ 3

case return_by_move
    mov pc, lr                  @ 3

case jump_by_load
    ldr r4, =1f + 1             @ 2 f4
    str r4, [r0]                @ 1 w
    ldr pc, [r0]                @ 4 r
    nop
1:  bx lr                       @ 3

case jump_by_move
    adr r4, 1f                  @ 1
    mov pc, r4                  @ 3
    nop
    .balign 4
1:  bx lr                       @ 3

case jump_table
    movs r4, #1                 @ 1
    tbb [pc, r4]                @ 4 f1
1:  .byte (2f - 1b) / 2, (3f - 1b) / 2
2:  nop
3:  bx lr                       @ 3

case jump_table_of_halfwords
    movs r4, #1                 @ 1
    tbh [pc, r4, lsl #1]        @ 4 f2
1:  .short (2f - 1b) / 2, (3f - 1b) / 2
2:  nop
3:  bx lr                       @ 3

@ ---- conditional instructions: r2 is 2, so EQ holds and NE does not ----

case it
    cmp r2, #2                  @ 1
    it eq                       @ 1
    addeq r4, r2, r3            @ 1
    itte ne                     @ 1
    addne r4, r2, r3            @ 1
    addne r4, r2, r3            @ 1
    addeq r4, r2, r3            @ 1
    bx lr                       @ 3

case it_load
    cmp r2, #2                  @ 1
    itt eq                      @ 1
    ldreq r4, [r0]              @ 2 r
    ldreq r5, [r0]              @ 1 r
    bx lr                       @ 3

case it_load_skipped
    cmp r2, #2                  @ 1
    itt ne                      @ 1
    ldrne r4, [r0]              @ 1
    ldrne r5, [r0]              @ 1
    ldr r6, [r0]                @ 2 r
    bx lr                       @ 3

case it_load_either
    cmp r2, #2                  @ 1
    ite ne                      @ 1
    ldrne r4, [r0]              @ 1
    ldreq r4, [r1]              @ 2 f4
    ldr r5, [r0]                @ 1 r
    bx lr                       @ 3

case it_store
    cmp r2, #2                  @ 1
    ite ne                      @ 1
    strne r2, [r0]              @ 1
    streq r3, [r0]              @ 1 w
    bx lr                       @ 3

case it_multiple
    cmp r2, #2                  @ 1
    ite ne                      @ 1
    ldmne r0, {r4-r7}           @ 1
    ldmeq r0, {r4, r5}          @ 3 r r
    bx lr                       @ 3

case it_branch
    cmp r2, #2                  @ 1
    it eq                       @ 1
    beq 1f                      @ 3
    nop
1:  it ne                       @ 1
    bne 2f                      @ 1
    nop                         @ 1
2:  bx lr                       @ 3

case it_return
    cmp r2, #2                  @ 1
    it ne                       @ 1
    bxne lr                     @ 1
    it eq                       @ 1
    bxeq lr                     @ 3
    nop

case it_pop
    push {r4, lr}               @ 3 w w
    cmp r2, #2                  @ 1
    it ne                       @ 1
    popne {r4, pc}              @ 1
    it eq                       @ 1
    popeq {r4, pc}              @ 5 r r

case it_call
    push {r4, lr}               @ 3 w w
    cmp r2, #2                  @ 1
    it ne                       @ 1
    blne leaf                   @ 1
    it eq                       @ 1
    bleq leaf                   @ 3 3
    pop {r4, pc}                @ 5 r r

case it_in_loop
    movs r4, #4                 @ 1
1:  tst r4, #1                  @ 1 1 1 1
    it eq                       @ 1 1 1 1
    ldreq r5, [r0]              @ 2 1 2 1 r r
    subs r4, #1                 @ 1 1 1 1
    bne 1b                      @ 3 3 3 1
    bx lr                       @ 3

@ ---- over the end of a page, where a block of the emulator ends ----

case page_between_loads
    b 1f                        @ 3
    .balign 4096
    .space 4094
1:  ldr r4, [r0]                @ 2 r
    ldr r5, [r0]                @ 1 r
    bx lr                       @ 3

case page_behind_it
    cmp r2, #2                  @ 1
    b.w 1f                      @ 3
    .balign 4096
    .space 4094
1:  it ne                       @ 1
    ldmne r0, {r4, r5}          @ 1
    ldr r5, [r0]                @ 2 r
    bx lr                       @ 3

case page_within_it
    cmp r2, #2                  @ 1
    b.w 1f                      @ 3
    .balign 4096
    .space 4090
1:  itte eq                     @ 1
    ldreq r4, [r0]              @ 2 r
    ldreq r5, [r0]              @ 1 r
    ldrne r6, [r0]              @ 1
    ldr r6, [r0]                @ 2 r
    bx lr                       @ 3

@ ---- system ----

case special_registers
    mrs r4, primask             @ 2
    msr primask, r4             @ 2
    cpsie i                     @ 2
    bx lr                       @ 3

case barriers
    dsb                         @ 1
    dmb                         @ 1
    isb                         @ 3
    sev                         @ 1
    bx lr                       @ 3

@ A UART's status: QEMU breaks a block off at a peripheral and goes on behind it.
case peripheral
    push {r4, lr}               @ 3 w w
    ldr r4, =0x40004004         @ 2 f4
    ldr r5, [r4]                @ 1 r
    adds r5, #1                 @ 1
    ldr r5, [r4]                @ 2 r
    bl leaf                     @ 3 3
    pop {r4, pc}                @ 5 r r

@ ---- weights: the same loop over a table and over one of twice the size ----

case weights
    movs r6, #64                @ 1
1:  ldr r5, [r1], #4            @ 2x64 f4x64
    add r7, r5                  @ 1x64
    subs r6, #1                 @ 1x64
    bne 1b                      @ 3x63 1
    bx lr                       @ 3

case weights_twice
    movs r6, #128               @ 1
1:  ldr r5, [r1], #4            @ 2x128 f4x128
    add r7, r5                  @ 1x128
    subs r6, #1                 @ 1x128
    bne 1b                      @ 3x127 1
    bx lr                       @ 3
