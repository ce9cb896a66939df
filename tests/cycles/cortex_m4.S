@ Cases for a Cortex-M4 with FPU. See begin.S.

case dsp_multiply
    smlad r4, r2, r3, r3        @ 1
    smladx r4, r2, r3, r3       @ 1
    smuad r4, r2, r3            @ 1
    smlsd r4, r2, r3, r3        @ 1
    smlald r4, r5, r2, r3       @ 1
    smlalbb r4, r5, r2, r3      @ 1
    umaal r4, r5, r2, r3        @ 1
    smmul r4, r2, r3            @ 1
    smmulr r4, r2, r3           @ 1
    smmla r4, r2, r3, r3        @ 1
    smmlsr r4, r2, r3, r3       @ 1
    smulbb r4, r2, r3           @ 1
    smlabb r4, r2, r3, r3       @ 1
    smlawb r4, r2, r3, r3       @ 1
    usada8 r4, r2, r3, r3       @ 1
    bx lr                       @ 3

case dsp_data
    sxtb16 r4, r2               @ 1
    uxtb16 r4, r2, ror #8       @ 1
    sxtab16 r4, r2, r3          @ 1
    pkhbt r4, r2, r3, lsl #16   @ 1
    pkhtb r4, r2, r3, asr #16   @ 1
    sadd16 r4, r2, r3           @ 1
    ssub16 r4, r2, r3           @ 1
    qadd r4, r2, r3             @ 1
    ssat16 r4, #8, r2           @ 1
    sel r4, r2, r3              @ 1
    bx lr                       @ 3

@ 18 cycles for 16 multiplications: two outputs at two pixels, four channels.
case convolution_block
    ldm r0, {r4-r7}             @ 5 r r r r
    ldrd r8, r9, [r1]           @ 3 f4 f4
    smlad r10, r8, r4, r10      @ 1
    smlad r11, r8, r5, r11      @ 1
    smlad r12, r9, r4, r12      @ 1
    smlad r2, r9, r5, r2        @ 1
    uxtb16 r8, r8               @ 1
    uxtb16 r9, r9               @ 1
    smlad r10, r8, r6, r10      @ 1
    smlad r11, r8, r7, r11      @ 1
    smlad r12, r9, r6, r12      @ 1
    smlad r2, r9, r7, r2        @ 1
    bx lr                       @ 3

case float_data
    vadd.f32 s0, s1, s2         @ 1
    vsub.f32 s0, s1, s2         @ 1
    vmul.f32 s0, s1, s2         @ 1
    vnmul.f32 s0, s1, s2        @ 1
    vabs.f32 s0, s1             @ 1
    vneg.f32 s0, s1             @ 1
    vcmp.f32 s0, s1             @ 1
    vcvt.s32.f32 s0, s1         @ 1
    vcvt.f32.s32 s0, s1         @ 1
    bx lr                       @ 3

case float_move
    vmov s0, r2                 @ 1
    vmov r4, s0                 @ 1
    vmov.f32 s1, #1.0           @ 1
    vmov.f32 s1, s2             @ 1
    vmov s2, s3, r2, r3         @ 2
    vmov r4, r5, d1             @ 2
    vmrs r4, fpscr              @ 1
    vmsr fpscr, r4              @ 1
    bx lr                       @ 3

case float_accumulate
    vmla.f32 s0, s1, s2         @ 3
    vmls.f32 s0, s1, s2         @ 3
    vnmla.f32 s0, s1, s2        @ 3
    vnmls.f32 s0, s1, s2        @ 3
    vfma.f32 s0, s1, s2         @ 3
    vfms.f32 s0, s1, s2         @ 3
    vfnma.f32 s0, s1, s2        @ 3
    vfnms.f32 s0, s1, s2        @ 3
    bx lr                       @ 3

case float_divide
    vdiv.f32 s0, s1, s2         @ 14
    vsqrt.f32 s0, s1            @ 14
    bx lr                       @ 3

case float_load
    vldr s0, [r0]               @ 2 r
    vldr s1, [r0]               @ 2 r
    vldr d1, [r1]               @ 3 f4 f4
    ldr r4, [r0]                @ 2 r
    vldr s0, [r0]               @ 2 r
    bx lr                       @ 3

case float_store
    vstr s0, [r0]               @ 2 w
    vstr d1, [r0, #8]           @ 3 w w
    bx lr                       @ 3

case float_multiple
    vldmia r0!, {s0-s3}         @ 5 r r r r
    vstmdb r0!, {s0-s3}         @ 5 w w w w
    vpush {d8, d9}              @ 5 w w w w
    vpop {d8, d9}               @ 5 r r r r
    bx lr                       @ 3
