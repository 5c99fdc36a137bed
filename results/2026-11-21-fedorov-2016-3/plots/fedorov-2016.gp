OUT = "fedorov-2016"
DATA = "fedorov-2016.dat"
TITLE = "Three ways to tell a vCPU that a block has died"
NOTE = "Median of 5 runs with 95 % bootstrap interval, every run a dot. Left: higher is better; not chained, each block is a pass of the loop. Right, 2 vCPUs: lower is better; solid p50, dashed p99."
W = 1180; H = 726; LEFT = 78; HEAD = 86.0
NR = 5; NC = 2; NS = 6
NCELLS = 5; NSTEPS = 5
XLABEL = "flushes a second"
TICS = "(\"0\" 0, \"1\" 1, \"10\" 2, \"100\" 3, \"1000\" 4)"
BLANKS = "(\"\" 0, \"\" 1, \"\" 2, \"\" 3, \"\" 4)"
VTICS = "()"
RAWSHIFT = 0.050
array PANEL[10] = ["1 vCPU, chained", "2 vCPUs, chained", "1 vCPU, not chained", "2 vCPUs, not chained", "time of a flush, lifetime flush", "time of a flush, lifetime rcu", "time of one invalidation, lifetime flush", "time of one invalidation, lifetime rcu", "longest stop of a vCPU, lifetime flush", "longest stop of a vCPU, lifetime rcu"]
array YLABEL[2] = ["blocks per second", "time"]
array HUE[6] = [1, 2, 3, 1, 2, 3]
array DASH[6] = [1, 1, 1, 2, 2, 2]
array LEGEND[3] = ["flush-counter", "per-cpu", "per-tb"]
array LHUE[3] = [1, 2, 3]
array LEGENDX[3] = [16, 150, 240]
array REFS[1] = [NaN]
array LOGV[10] = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
array YTICS[10] = ["(\"1 G\" 1e+09, \"2 G\" 2e+09, \"3 G\" 3e+09, \"4 G\" 4e+09, \"5 G\" 5e+09)", "(\"1 G\" 1e+09, \"2 G\" 2e+09, \"3 G\" 3e+09, \"4 G\" 4e+09, \"5 G\" 5e+09)", "(\"50 M\" 50000000, \"100 M\" 100000000, \"150 M\" 150000000, \"200 M\" 200000000, \"250 M\" 250000000)", "(\"50 M\" 50000000, \"100 M\" 100000000, \"150 M\" 150000000, \"200 M\" 200000000, \"250 M\" 250000000)", "(\"10 µs\" 1e-05, \"100 µs\" 0.0001, \"1 ms\" 0.001, \"10 ms\" 0.01)", "(\"10 µs\" 1e-05, \"100 µs\" 0.0001, \"1 ms\" 0.001, \"10 ms\" 0.01)", "(\"1 µs\" 1e-06, \"2 µs\" 2e-06, \"5 µs\" 5e-06, \"10 µs\" 1e-05, \"20 µs\" 2e-05, \"50 µs\" 5e-05, \"100 µs\" 0.0001, \"200 µs\" 0.0002)", "(\"1 µs\" 1e-06, \"2 µs\" 2e-06, \"5 µs\" 5e-06, \"10 µs\" 1e-05, \"20 µs\" 2e-05, \"50 µs\" 5e-05, \"100 µs\" 0.0001, \"200 µs\" 0.0002)", "(\"100 µs\" 0.0001, \"1 ms\" 0.001, \"10 ms\" 0.01, \"100 ms\" 0.1)", "(\"100 µs\" 0.0001, \"1 ms\" 0.001, \"10 ms\" 0.01, \"100 ms\" 0.1)"]
array YBLANK[10] = ["(\"\" 1e+09, \"\" 2e+09, \"\" 3e+09, \"\" 4e+09, \"\" 5e+09)", "(\"\" 1e+09, \"\" 2e+09, \"\" 3e+09, \"\" 4e+09, \"\" 5e+09)", "(\"\" 50000000, \"\" 100000000, \"\" 150000000, \"\" 200000000, \"\" 250000000)", "(\"\" 50000000, \"\" 100000000, \"\" 150000000, \"\" 200000000, \"\" 250000000)", "(\"\" 1e-05, \"\" 0.0001, \"\" 0.001, \"\" 0.01)", "(\"\" 1e-05, \"\" 0.0001, \"\" 0.001, \"\" 0.01)", "(\"\" 1e-06, \"\" 2e-06, \"\" 5e-06, \"\" 1e-05, \"\" 2e-05, \"\" 5e-05, \"\" 0.0001, \"\" 0.0002)", "(\"\" 1e-06, \"\" 2e-06, \"\" 5e-06, \"\" 1e-05, \"\" 2e-05, \"\" 5e-05, \"\" 0.0001, \"\" 0.0002)", "(\"\" 0.0001, \"\" 0.001, \"\" 0.01, \"\" 0.1)", "(\"\" 0.0001, \"\" 0.001, \"\" 0.01, \"\" 0.1)"]
array LO[10] = [662310640, 662310640, 24745240.5, 24745240.5, 3.94993148e-06, 3.94993148e-06, 5.32139242e-07, 5.32139242e-07, 6.24877852e-05, 6.24877852e-05]
array HI[10] = [5.52094228e+09, 5.52094228e+09, 258208745, 258208745, 0.0322807731, 0.0322807731, 0.000226606554, 0.000226606554, 0.152554896, 0.152554896]
TICS2 = "(\"64\" 0, \"512\" 1, \"4096\" 2, \"32768\" 3)"
NSTEPS2 = 4
XLABEL2 = "live blocks"

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
