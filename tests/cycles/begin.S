@ How the cases begin. A case is a function; r0 points to RAM, r1 to a table in flash, r2 = 2, r3 = 3, r4 = 0 when it is called.
@
@ Behind each instruction that is executed stands what it costs, counted by hand from the manual:
@   2          it is executed once and takes 2 cycles; 3 3 1 is three times, 2x64 is 64 times
@   m3:5       the same on a Cortex-M3, where that differs
@   r  w  f4   a transfer from RAM, a transfer to RAM, one of 4 bytes from flash; x64 behind it as above
@ An instruction without numbers is never executed. A call's numbers go on with those of the function it calls.

    .syntax unified
    .thumb

    .macro function name
    .ltorg
    .balign 4
    .global \name
    .type \name, %function
\name:
    .endm

    .macro case name
    function \name
    .endm

    .macro set register value
    movw \register, #:lower16:\value
    movt \register, #:upper16:\value
    .endm

    .macro run name
    set r0 0x20000100
    set r1 table
    movs r2, #2
    movs r3, #3
    movs r4, #0
    bl \name
    .endm

    .section .vectors, "a"
    .word 0x20010000, reset + 1, halt + 1, halt + 1, halt + 1, halt + 1, halt + 1, 0
    .word 0, 0, 0, halt + 1, halt + 1, 0, halt + 1, tick + 1

    .text
function leaf
    bx lr

function halt
    b halt
