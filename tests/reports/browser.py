"""What a reader sees, measured in headless Chromium."""
import os

import chromium

WIDTHS = (1440, 1024, 400)

# Texts of one figure whose boxes share more than a pixel and a half in both directions. Boxes are
# those of the letters: a third of the line's height is air.
OVERLAPS = """(function(){var bad=[];document.querySelectorAll('svg.fig').forEach(function(svg){
var boxes=[].map.call(svg.querySelectorAll('text'),function(t){var r=t.getBoundingClientRect();
var air=r.height*0.16;return {x0:r.left,x1:r.right,y0:r.top+air,y1:r.bottom-air,t:t.textContent}})
.filter(function(b){return b.t.trim()!==''&&b.x1>b.x0});
boxes.sort(function(a,b){return a.y0-b.y0});
for(var i=0;i<boxes.length;i++)for(var k=i+1;k<boxes.length&&boxes[k].y0<boxes[i].y1;k++){
var a=boxes[i],b=boxes[k];if(Math.min(a.x1,b.x1)-Math.max(a.x0,b.x0)>1.5&&
Math.min(a.y1,b.y1)-Math.max(a.y0,b.y0)>1.5)bad.push(a.t+' | '+b.t)}});return bad.slice(0,20)})()"""

SMALLEST = """(function(){var least=99;document.querySelectorAll('svg.fig text').forEach(function(t){
var r=t.getBoundingClientRect();if(r.height>0)least=Math.min(least,r.height)});return least})()"""

FIRST = """(function(){function bottom(s){var e=document.querySelector(s);
return e?Math.round(e.getBoundingClientRect().bottom):-1}
return {verdict:bottom('.verdict'),command:bottom('pre.command'),led:bottom('ol.led'),
replicas:bottom('#replicas')}})()"""

# Contrast of every text in the page's own colours against the page.
CONTRAST = """(function(){function lum(c){var v=c.match(/[0-9.]+/g).slice(0,3).map(function(x){
x=x/255;return x<=0.03928?x/12.92:Math.pow((x+0.055)/1.055,2.4)});
return 0.2126*v[0]+0.7152*v[1]+0.0722*v[2]}
function back(e){for(;e;e=e.parentElement){var c=getComputedStyle(e).backgroundColor;
if(!/, 0\\)$/.test(c)&&c!=='transparent')return c}return 'rgb(255,255,255)'}
var bad=[];document.querySelectorAll('h1,h2,p,td,th,li,dt,dd,a,summary,.verdict,pre').forEach(
function(e){if(e.closest('svg')||!e.textContent.trim())return;var a=lum(getComputedStyle(e).color),
b=lum(back(e)),r=(Math.max(a,b)+0.05)/(Math.min(a,b)+0.05);
if(r<4.5)bad.push(e.textContent.trim().slice(0,40)+' '+r.toFixed(2))});return bad.slice(0,10)})()"""


def need(condition, text):
    if not condition:
        raise AssertionError(text)


def look(browser, page, name, shots):
    """All of one page: three widths, dark and light."""
    for width in WIDTHS:
        for dark in (False, True):
            where = "%s at %d%s" % (name, width, ", dark" if dark else "")
            browser.open(page, width, dark=dark)
            need(not browser.complaints(), "%s: the console says %s" % (where, browser.complaints()[:2]))
            need(len(browser.requests()) == 1, "%s: fetches %s" % (where, browser.requests()[1:]))
            wide = browser.value("document.documentElement.scrollWidth")
            need(wide <= width, "%s: %d wide" % (where, wide))
            low = browser.value(CONTRAST)
            need(low == [], "%s: hard to read: %s" % (where, low))
            if not dark:
                bad = browser.value(OVERLAPS)
                need(bad == [], "%s: labels over another: %s" % (where, bad))
                least = browser.value(SMALLEST)
                need(least >= 5.5, "%s: a text %.1f px high" % (where, least))
            browser.picture(os.path.join(shots, "%s-%d%s.png" % (name, width, "-dark" if dark else "")),
                            whole=width == WIDTHS[0])


def first_screen(browser, page, name):
    """What broke, where, after what, and how to run it again: without scrolling."""
    browser.open(page, 1280, height=800)
    bottoms = browser.value(FIRST)
    for part, bottom in bottoms.items():
        need(0 < bottom <= 800, "%s: %s ends at %d of 800" % (name, part, bottom))


def keys(browser, page, name):
    browser.open(page, 1280, height=800)
    moments = browser.value("document.querySelectorAll('tr.moment').length")
    need(moments > 2, "%s: %d key moments" % (name, moments))
    seen = []
    for _ in range(moments + 1):  # one more than there are: it stays at the last
        browser.key("j")
        seen.append(browser.value("document.querySelector('tr.here').dataset.event"))
        need(browser.value("(function(){var e=document.getElementById(document.querySelector("
                           "'tr.here').dataset.mark);if(!e||!e.classList.contains('here'))return false;"
                           "var r=e.getBoundingClientRect();return r.bottom>0&&r.top<innerHeight})()"),
             "%s: a key moment is not on the screen" % name)
    need(len(set(seen)) == moments and seen[-1] == seen[-2], "%s: j goes %s" % (name, seen))
    browser.key("k")
    need(browser.value("document.querySelector('tr.here').dataset.event") == seen[-3],
         "%s: k does not go back" % name)
    browser.key("v")
    need(browser.value("scrollY") == 0, "%s: v does not go to the verdict" % name)
