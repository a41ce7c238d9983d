package csv_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
)

// samples have the first lines of employee files that are public, with invented people. want is what the file says of them,
// for the attributes that matter most: who it is, what they are called, whether they may come in.
func samples() map[string]struct{ text, want string } {
	return map[string]struct{ text, want string }{
		"Entra ID, download of users": {
			"userPrincipalName,displayName,surname,mail,givenName,id,userType,jobTitle,department,accountEnabled,usageLocation,streetAddress,state,country,physicalDeliveryOfficeName,city,postalCode,telephoneNumber,mobile,alternateEmailAddress,ageGroup,consentProvidedForMinor,legalAgeGroupClassification,companyName,creationType,directorySynced,invitationState,identityIssuer,createdDateTime\n" +
				"mia@contoso.example,Mia Berg,Berg,mia@contoso.example,Mia,3f2b8c1e-5d60-4b7a-9a51-0c7de2f4a9b8,Member,Engineer,R&D,True,SE,,,Sweden,,Lund,,,,,,,,Contoso,,False,,contoso.example,1/9/2025 9:00:00 AM\n",
			"mia@contoso.example|Mia Berg|Mia|Berg|mia@contoso.example||True\n",
		},
		"Entra ID, template for creating users in bulk": {
			"version:v1.0\n" +
				"Name [displayName] Required,User name [userPrincipalName] Required,Initial password [passwordProfile] Required,Block sign in (Yes/No) [accountEnabled] Required,First name [givenName],Last name [surname],Job title [jobTitle],Department [department],Usage location [usageLocation]\n" +
				"Noor Haddad,noor@contoso.example,invented-1,Yes,Noor,Haddad,Analyst,Finance,BE\n",
			"noor@contoso.example|Noor Haddad|Noor|Haddad|||false\n",
		},
		"Microsoft 365 admin center, template for several users": {
			"Username,First name,Last name,Display name,Job title,Department,Office number,Office phone,Mobile phone,Fax,Alternate email address,Address,City,State or province,ZIP or postal code,Country or region\n" +
				"otto@contoso.example,Otto,Lind,Otto Lind,Clerk,Sales,12,555-0100,555-0101,,otto@home.example,1 Main Street,Turku,,20100,Finland\n",
			"otto@contoso.example|Otto Lind|Otto|Lind|||\n",
		},
		"Google Workspace, upload of users": {
			"First Name [Required],Last Name [Required],Email Address [Required],Password [Required],Password Hash Function [UPLOAD ONLY],Org Unit Path [Required],New Primary Email [UPLOAD ONLY],Recovery Email,Home Secondary Email,Work Secondary Email,Recovery Phone [MUST BE IN THE E.164 FORMAT],Work Phone,Home Phone,Mobile Phone,Work Address,Home Address,Employee ID,Employee Type,Employee Title,Manager Email,Department,Cost Center\n" +
				"Pia,Holm,pia@contoso.example,invented-2,,/Staff,,,,,,555-0102,,,,,P-7,Permanent,Designer,,Design,400\n",
			"pia@contoso.example||Pia|Holm|pia@contoso.example|P-7|\n",
		},
		"Okta, import of people from a file": {
			"login,firstName,lastName,email,secondEmail,mobilePhone,title,displayName,employeeNumber,costCenter,organization,division,department,managerId,manager\n" +
				"quinn@contoso.example,Quinn,Marsh,quinn@contoso.example,,,Buyer,Quinn Marsh,8001,100,Contoso,East,Purchasing,,\n",
			"quinn@contoso.example|Quinn Marsh|Quinn|Marsh|quinn@contoso.example|8001|\n",
		},
		"BambooHR, report": {
			"Employee #,Last Name,First Name,Job Title,Location,Division,Department,Work Email,Status,Hire Date\n" +
				"00042,Okafor,Rita,Nurse,Ward 3,Care,Clinic,rita@contoso.example,Active,2020-01-01\n",
			"rita@contoso.example||Rita|Okafor|rita@contoso.example|00042|Active\n",
		},
		"Northwind, table Employees": {
			"EmployeeID;LastName;FirstName;Title;TitleOfCourtesy;BirthDate;HireDate;Address;City;Region;PostalCode;Country;HomePhone;Extension;ReportsTo\n" +
				"3;Sorel;Sami;Sales Representative;Mr.;1980-01-01;2012-04-01;2 Side Street;Oslo;;0150;Norway;555-0103;33;\n",
			"||Sami|Sorel||3|\n",
		},
		"Oracle's sample schema HR, table EMPLOYEES": {
			"EMPLOYEE_ID,FIRST_NAME,LAST_NAME,EMAIL,PHONE_NUMBER,HIRE_DATE,JOB_ID,SALARY,COMMISSION_PCT,MANAGER_ID,DEPARTMENT_ID\n" +
				"300,Tove,Ude,tove@contoso.example,515.555.0104,2015-06-17,IT_PROG,9000,,,60\n",
			"tove@contoso.example||Tove|Ude|tove@contoso.example|300|\n",
		},
		"Human Resources Data Set of Huebner and Patalano (Kaggle)": {
			"Employee_Name,EmpID,MarriedID,MaritalStatusID,GenderID,EmpStatusID,DeptID,PerfScoreID,FromDiversityJobFairID,Salary,Termd,PositionID,Position,State,Zip,DOB,Sex\n" +
				"\"Vance, Uma\",10026,0,0,1,1,5,4,0,62506,0,19,Technician,MA,1960,07/10/83,F\n",
			"|Vance, Uma||||10026|\n",
		},
		"Workday, report of workers": {
			"Employee ID\tLegal First Name\tLegal Last Name\tBusiness Title\tSupervisory Organization\tEmail - Work\tWorker Status\n" +
				"W-9\tYara\tZane\tPlanner\tOperations\tyara@contoso.example\tActive\n",
			"yara@contoso.example||||yara@contoso.example|W-9|Active\n",
		},
	}
}

// TestSamplesImportAsTheyAre reads each sample without editing it: at once, or with the flags that the message names.
func TestSamplesImportAsTheyAre(t *testing.T) {
	t.Parallel()
	for name, sample := range samples() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, err := csv.Open(strings.NewReader(sample.text), directory.FileOptions{})
			var asks *directory.FileError
			if errors.As(err, &asks) {
				t.Log(asks)
				file, err = csv.Open(strings.NewReader(sample.text), options(t, asks.Flags))
			}
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for row, err := range file.Rows {
				if err != nil {
					t.Fatal(err)
				}
				if len(row.Problems) > 0 {
					t.Errorf("line %d: %v", row.Line, row.Problems)
				}
				var values []string
				for _, a := range []string{"userPrincipalName", "displayName", "givenName", "surname", "mail", "employeeId", "accountEnabled"} {
					values = append(values, row.Values[a])
				}
				got.WriteString(strings.Join(values, "|") + "\n")
			}
			if diff := cmp.Diff(sample.want, got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// options are flags as the command reads them.
func options(t *testing.T, flags []string) (o directory.FileOptions) {
	t.Helper()
	form := regexp.MustCompile(`^--(map|ignore-columns|encoding) "?([^"]*)"?$`)
	for _, flag := range flags {
		m := form.FindStringSubmatch(flag)
		switch {
		case m == nil:
			t.Fatalf("the message names %s, which is no flag", flag)
		case m[1] == "map":
			at := strings.LastIndex(m[2], "=")
			o.Map = append(o.Map, directory.ColumnMap{Column: m[2][:at], Attribute: m[2][at+1:]})
		case m[1] == "encoding":
			o.Encoding = m[2]
		default:
			o.Ignore = append(o.Ignore, m[2])
		}
	}
	return o
}
