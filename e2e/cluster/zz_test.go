package cluster
import ("testing";"time")
func TestZZ(t *testing.T){ for i:=range 6 { s:=time.Now(); c,err:=Start(t.Context(),Options{ControllerManager: i>2}); if err!=nil {t.Fatal(err)}; t.Log(i>2,time.Since(s)); s=time.Now(); t.Log(c.Stop(),time.Since(s)) } }
