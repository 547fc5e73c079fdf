# SPDX-License-Identifier: MIT
# A PostScript program with text, curves, clipping, dictionaries and strings,
# as an image and as PDF's text. Its own allocator takes chunks from malloc.

needs gs cksum
least_mallocs=10000

run()
{
    cat >"$folder/work.ps" <<'END'
%!PS
/rnd { seed 16807 mul 2147483647 mod /seed exch store seed } def
/seed 42 def
/d 2000 dict def
0 1 1999 { dup 20 string cvs cvn exch d 3 1 roll put } for
1 1 12 {
    /page exch def
    0 1 150 {
        /i exch def
        gsave rnd 500 mod rnd 700 mod translate rnd 360 mod rotate
        i 150 div 1 i 150 div sub page 12 div setrgbcolor
        newpath 0 0 moveto 50 rnd 80 mod 90 20 100 rnd 60 mod curveto closepath
        i 3 mod 0 eq { clip } if fill
        /Times-Roman findfont 6 i 20 mod add scalefont setfont
        0 0 moveto i 20 string cvs show
        grestore
    } for
    0 1 3000 { pop 100 string pop 10 array pop } for
    showpage
} for
END
    under gs -q -dBATCH -dNOPAUSE -dNOSAFER -r100 -sDEVICE=ppmraw -sOutputFile="$folder/%d.ppm" \
        "$folder/work.ps" || return 1
    cat "$folder"/*.ppm | cksum
    under gs -q -dBATCH -dNOPAUSE -sDEVICE=txtwrite -sOutputFile="$folder/text" \
        "$folder/work.ps" || return 1
    cksum <"$folder/text"
}
