@ A function that resets the board the first time it runs, by AIRCR.SYSRESETREQ, and returns the second time.

function restart
    set r0 0x20000000
    ldr r1, [r0]
    adds r2, r1, #1
    str r2, [r0]
    cbnz r1, 1f
    set r0 0xe000ed0c
    set r1 0x05fa0004
    dsb
    str r1, [r0]
    dsb
2:  b 2b
1:  bx lr
