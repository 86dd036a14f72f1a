package toolchain
import ("testing";"os/exec")
func TestX(t *testing.T){
 for range 2 {
 p,err:=Build(t.Context(),Plugin(),t.Logf)
 t.Log(p,err)
 if err==nil { o,_:=exec.Command(p,"--version").CombinedOutput(); t.Log(string(o)) }
 p,err=Build(t.Context(),PluginRace(),t.Logf)
 t.Log(p,err)
 }
}
