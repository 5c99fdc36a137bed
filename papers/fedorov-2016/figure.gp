# figure.gp - fedorov-2016: four panels of passes on the left, six of latencies on the right.
#
# The variables are those of bench/plots/style.gp, and TICS2, NSTEPS2, XLABEL2 for the right half. Panels
# 1-4: two rows (chained, not) of two vCPU counts; 5-10: flush, invalidation, longest stop under two lifetimes.

top = 1 - (HEAD + 20) / H
bottom = 56.0 / H
gap = 20.0 / W
vgap = 46.0 / H
half = 0.5 - 8.0 / W
left1 = 78.0 / W
left2 = half + 86.0 / W
width1 = (half - left1 - gap) / 2
width2 = (1 - 18.0 / W - left2 - gap) / 2

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
    do for [p = 1:10] {
        right = p > 4
        q = right ? p - 5 : p - 1
        rows = right ? 3 : 2
        r = q / 2
        c = q % 2
        width = right ? width2 : width1
        x0 = (right ? left2 : left1) + c * (width + gap)
        height = (top - bottom - vgap * (rows - 1)) / rows
        y1 = top - r * (height + vgap)
        set lmargin at screen x0
        set rmargin at screen x0 + width
        set tmargin at screen y1
        set bmargin at screen y1 - height
        set yrange [LO[p]:HI[p]]
        if (LOGV[p]) { set logscale y 10 } else { unset logscale y }
        if (right) { set xtics @TICS2; set xrange [-0.4:NSTEPS2 - 0.6] } else { set xtics @TICS; set xrange [-0.4:NSTEPS - 0.6] }
        eval "set ytics " . (c == 0 ? YTICS[p] : YBLANK[p])
        if (c == 0) { set ylabel (right ? YLABEL[2] : YLABEL[1]) font font . ",10" textcolor rgb "#404040" } else { unset ylabel }
        if (r == rows - 1) { set xlabel (right ? XLABEL2 : XLABEL) font font . ",11" textcolor rgb "#404040" } else { unset xlabel }
        set title PANEL[p] font font . " Bold,11" textcolor rgb "#303030" offset 0, -0.5
        plot for [s = 1:NS] DATA index block(p, s) + 1 using 1:2 with points pt 7 ps 0.34 lc rgb faded(HUE[s]), \
             for [s = 1:NS] DATA index block(p, s) using 1:2 with lines lw 1.6 dt DASH[s] lc rgb color(HUE[s]), \
             for [s = 1:NS] DATA index block(p, s) using 1:2:3:4 with yerrorbars pt mark(HUE[s]) ps 0.6 lw 1.3 lc rgb color(HUE[s])
        unset for [i = 1:|LEGEND|] label 10 + i
        unset label 1
        unset label 2
    }
    unset multiplot
    unset output
    unset logscale
}
