# curve.gp - a line a series over the steps of a parameter: every run as a dot, medians with their intervals.
#
# The steps are evenly spaced and labelled by TICS; NSTEPS is their number.

left = 78.0 / W
top = 1 - HEAD / H
bottom = 56.0 / H
hgap = 26.0 / W
vgap = 44.0 / H
width = (1 - left - 20.0 / W - hgap * (NC - 1)) / NC
height = (top - bottom - 20.0 / H - vgap * (NR - 1)) / NR

do for [format in "svg png"] {
    if (format eq "svg") {
        set terminal svg size W, H font font . ",12" background "white" noenhanced dashlength 0.8
    } else {
        set terminal pngcairo size 2 * W, 2 * H font font . ",12" fontscale 1.5 linewidth 2 pointscale 2 dashlength 0.8 background "white" noenhanced
    }
    set output OUT . "." . format
    set multiplot
    set label 1 TITLE at screen 16.0 / W, 1 - 22.0 / H left font font . " Bold,14" textcolor rgb "#202020"
    set label 2 NOTE at screen 16.0 / W, 1 - (HEAD - 44) / H left font font . ",10" textcolor rgb "#606060"
    set for [i = 1:|LEGEND|] label 10 + i LEGEND[i] at screen (LEGENDX[i] + 12.0) / W, 1 - (HEAD - 20) / H left font font . ",11" textcolor rgb color(LHUE[i]) point pt mark(LHUE[i]) ps 0.8 lc rgb color(LHUE[i]) offset 1.1, 0
    set xrange [-0.4:NSTEPS - 0.6]
    do for [r = 1:NR] {
        do for [c = 1:NC] {
            p = (r - 1) * NC + c
            set lmargin at screen left + (c - 1) * (width + hgap)
            set rmargin at screen left + (c - 1) * (width + hgap) + width
            set tmargin at screen top - 20.0 / H - (r - 1) * (height + vgap)
            set bmargin at screen top - 20.0 / H - (r - 1) * (height + vgap) - height
            set yrange [LO[p]:HI[p]]
            if (LOGV[p]) { set logscale y 10 }
            set xtics @TICS
            eval "set ytics " . (c == 1 ? YTICS[p] : YBLANK[p])
            if (c == 1) { set ylabel YLABEL[r] font font . ",11" textcolor rgb "#404040" } else { unset ylabel }
            if (r == NR) { set xlabel XLABEL font font . ",11" textcolor rgb "#404040" } else { unset xlabel }
            set title PANEL[p] font font . " Bold,12" textcolor rgb "#303030" offset 0, -0.4
            plot for [s = 1:NS] DATA index block(p, s) + 1 using 1:2 with points pt 7 ps 0.36 lc rgb faded(HUE[s]), \
                 for [s = 1:NS] DATA index block(p, s) using 1:2 with lines lw 1.8 dt DASH[s] lc rgb color(HUE[s]), \
                 for [s = 1:NS] DATA index block(p, s) using 1:2:3:4 with yerrorbars pt mark(HUE[s]) ps 0.65 lw 1.4 lc rgb color(HUE[s])
            unset for [i = 1:|LEGEND|] label 10 + i
            unset label 1
            unset label 2
        }
    }
    unset multiplot
    unset output
    unset logscale
}
