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
