# SPDX-License-Identifier: MIT
# Images made, filtered by several threads, composed, written and read again.

needs convert-im6.q16 identify-im6.q16
least_mallocs=30000

run()
{
    convert=convert-im6.q16
    # Else its threads spin for each other, on a busy machine for a long time.
    OMP_WAIT_POLICY=passive
    export OMP_WAIT_POLICY
    under $convert -size 400x300 gradient:red-blue -swirl 120 "$folder/a.png" || return 1
    under $convert -size 400x300 radial-gradient:white-black -wave 20x60 -crop 400x300+0+0 \
        +repage "$folder/b.png" || return 1
    under $convert "$folder/a.png" "$folder/b.png" -compose multiply -composite \
        -resize 500x -blur 0x3 -colorspace HSL -quantize RGB -colors 64 "$folder/c.gif" || return 1
    step=0
    while [ $step -lt 12 ]; do
        step=$((step + 1))
        under $convert "$folder/c.gif" -rotate $((step * 9)) -resize 120x120 -depth 8 \
            "ppm:$folder/$step.ppm" || return 1
    done
    under $convert "$folder"/[0-9]*.ppm -append "$folder/d.png" || return 1
    under identify-im6.q16 -format '%wx%h %k %#\n' "$folder"/[a-d].*
}
