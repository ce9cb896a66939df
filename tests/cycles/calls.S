@ Functions that call each other. See begin.S.

function twig
    nop
    bx lr

function branch_off
    ldr r4, [r1]
    b twig

function tree
    push {r4, lr}
    bl twig
    bl branch_off
    bl branch_off
    nop
    pop {r4, pc}

@ Two that hand over to each other by branches until r4 is 0, and then return.
function ping
    subs r4, #1
    bne pong
    bx lr

function pong
    subs r4, #1
    bne ping
    bx lr

function table_tennis
    push {r4, lr}
    movw r4, #5000
    bl ping
    pop {r4, pc}

@ Calls itself: r4 levels.
function deep
    push {r4, lr}
    subs r4, #1
    beq 1f
    bl deep
1:  pop {r4, pc}

function dive
    push {r4, lr}
    movs r4, #3
    bl deep
    pop {r4, pc}
