OUT = "linux-compute"
DATA = "linux-compute.dat"
TITLE = "Programs under Linux: time under QEMU over time under dbtlab"
NOTE = "Median of 2 runs with 95 % bootstrap interval, every run a dot; right of 1 dbtlab is the faster one."
W = 848; H = 535; LEFT = 188; HEAD = 86.0
NR = 1; NC = 1; NS = 3
NCELLS = 11; NSTEPS = 11
XLABEL = "time between the marks, ratio to dbtlab"
TICS = "(\"intmix_dhry copies=1\" 0, \"intmix_dhry copies=2\" -1, \"intmix_core copies=1\" -2, \"intmix_core copies=2\" -3, \"matmul (double)\" -4, \"nbody (double)\" -5, \"openssl AES-128-CBC\" -6, \"openssl SHA-256\" -7, \"openssl modular powers\" -8, \"xz\" -9, \"stress-ng --matrix\" -10)"
BLANKS = "(\"\" 0, \"\" -1, \"\" -2, \"\" -3, \"\" -4, \"\" -5, \"\" -6, \"\" -7, \"\" -8, \"\" -9, \"\" -10)"
VTICS = "(1, 2, 5)"
RAWSHIFT = 0.100
array PANEL[1] = ["2 vCPUs"]
array YLABEL[1] = ["time between the marks, ratio to dbtlab"]
array HUE[3] = [1, 9, 2]
array DASH[3] = [1, 1, 1]
array LEGEND[3] = ["dbtlab (baseline)", "qemu-multi", "dbtlab again (A/A)"]
array LHUE[3] = [1, 2, 9]
array LEGENDX[3] = [16, 178, 290]
array REFS[1] = [2]
array LOGV[1] = [1]
array YTICS[1] = ["(\"1\" 1, \"2\" 2, \"5\" 5)"]
array YBLANK[1] = ["(\"\" 1, \"\" 2, \"\" 5)"]
array LO[1] = [0.543369146]
array HI[1] = [8.68487836]

# style.gp - looks shared by all figures: colour-blind safe palette (Okabe and Ito), quiet axes, both formats.
#
# plotting.py puts this before a template, and before this the variables that tell the template what
# to draw. The three together are the .gp file of a result folder: `gnuplot NAME.gp` there draws it again.
#
#   OUT            file name without its end           W, H      size in points
#   TITLE, NOTE    the two lines above the panels      DATA      the .dat file
#   NR, NC         rows and columns of panels          NS        series in each panel
#   PANEL[]        panel titles, row by row            YLABEL[]  one a row
#   LEGEND[]       legend texts, at LEGENDX[]          LHUE[]    their colour
#   HUE[], DASH[]  colour and dash of each series      XLABEL, TICS      text and tics of the free axis
#   LO[], HI[]     range of a panel's value axis       LOGV[]    1: that axis is logarithmic
#   YTICS[], YBLANK[]  tics of each panel's value axis, with and without labels
#   HEAD           height of title, note and legend    VTICS     tics of the ratio axis (dots.gp)
#   LEFT           room for the labels (dots.gp)       RAWSHIFT  how far runs lie below their median (dots.gp)
#
# DATA holds two blocks for each series of each panel, in this order: position, median, low, high; then
# position and value of every single run.

array COLOR[9] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#4D4D4D", "#8C6D00", "#9A9A9A"]
array MARK[9] = [7, 5, 9, 13, 11, 7, 5, 9, 6]
color(i) = COLOR[1 + (i - 1) % 9]
mark(i) = MARK[1 + (i - 1) % 9]
faded(i) = "#80" . substr(color(i), 2, 7)
block(panel, series) = 2 * ((panel - 1) * NS + series - 1)

set style line 100 lc rgb "#B8B8B8" lw 1
set style line 101 lc rgb "#ECECEC" lw 0.8
set border 3 ls 100
set grid xtics ytics ls 101
set tics nomirror scale 0.5 textcolor rgb "#404040"
set bars 0.6
unset key
font = "DejaVu Sans"

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
