@ A loop of everything that an interrupt can come between, with the timer on and off, and a count of its interrupts.

function tick
    push {r4, lr}
    set r0 0x20000000
    ldr r1, [r0]
    adds r1, #1
    str r1, [r0]
    bl leaf
    pop {r4, pc}

function work
    push {r4-r6, lr}
    movw r4, #1000
1:  ldr r5, [r0]
    ldr r6, [r0]
    bl leaf
    tst r4, #1
    ite eq
    ldreq r5, [r1]
    strne r5, [r0]
    beq 2f
    ldr r5, =leaf + 1
    blx r5
2:  subs r4, #1
    bne 1b
    pop {r4-r6, pc}

@ SysTick on, at an interrupt every 3 ticks; and off.
function timer_on
    set r0 0xe000e010
    movs r1, #2
    str r1, [r0, #4]
    movs r1, #7
    str r1, [r0]
    bx lr

function timer_off
    set r0 0xe000e010
    movs r1, #0
    str r1, [r0]
    bx lr

@ As many loads as there were interrupts.
function interrupts_seen
    set r0 0x20000000
    ldr r1, [r0]
1:  ldr r2, [r0]
    subs r1, #1
    bne 1b
    bx lr
