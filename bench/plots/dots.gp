# dots.gp - one line a workload: every run as a dot, the median with its interval, as a ratio to the baseline.
#
# NCELLS lines, labelled by TICS; the baseline is the line at 1. REFS[] are further vertical lines.

left = LEFT / (1.0 * W)
top = 1 - HEAD / H
bottom = 56.0 / H
gap = 26.0 / W
width = (1 - left - 20.0 / W - gap * (NC - 1)) / NC

do for [format in "svg png"] {
    if (format eq "svg") {
        set terminal svg size W, H font font . ",12" background "white" noenhanced
    } else {
        set terminal pngcairo size 2 * W, 2 * H font font . ",12" fontscale 1.5 linewidth 2 pointscale 2 background "white" noenhanced
    }
    set output OUT . "." . format
    set multiplot
    set label 1 TITLE at screen 16.0 / W, 1 - 22.0 / H left font font . " Bold,14" textcolor rgb "#202020"
    set label 2 NOTE at screen 16.0 / W, 1 - (HEAD - 44) / H left font font . ",10" textcolor rgb "#606060"
    set for [i = 1:|LEGEND|] label 10 + i LEGEND[i] at screen (LEGENDX[i] + 12.0) / W, 1 - (HEAD - 20) / H left font font . ",11" textcolor rgb color(LHUE[i]) point pt mark(LHUE[i]) ps 0.8 lc rgb color(LHUE[i]) offset 1.1, 0
    set yrange [-NCELLS + 0.4:0.6]
    do for [p = 1:NC] {
        set lmargin at screen left + (p - 1) * (width + gap)
        set rmargin at screen left + (p - 1) * (width + gap) + width
        set tmargin at screen top - 20.0 / H
        set bmargin at screen bottom
        set xrange [LO[1]:HI[1]]
        if (LOGV[p]) { set logscale x }
        set xtics @VTICS
        set mxtics 1
        if (p == 1) { set ytics @TICS } else { set ytics @BLANKS }
        set title PANEL[p] font font . " Bold,12" textcolor rgb "#303030" offset 0, -0.4
        set xlabel XLABEL font font . ",11" textcolor rgb "#404040"
        unset arrow
        set arrow 1 from 1, graph 0 to 1, graph 1 nohead lc rgb "#707070" lw 1.2 back
        do for [i = 1:|REFS|] { if (REFS[i] == REFS[i]) { set arrow 1 + i from REFS[i], graph 0 to REFS[i], graph 1 nohead lc rgb "#B0B0B0" lw 1 dt 2 back } }
        plot for [s = 1:NS] DATA index block(p, s) + 1 using 2:($1 - RAWSHIFT) with points pt 7 ps 0.42 lc rgb faded(HUE[s]), \
             for [s = 1:NS] DATA index block(p, s) using 2:1:3:4 with xerrorbars pt mark(HUE[s]) ps 0.75 lw 1.6 lc rgb color(HUE[s])
        unset for [i = 1:|LEGEND|] label 10 + i
        unset label 1
        unset label 2
    }
    unset multiplot
    unset output
    unset logscale
}
